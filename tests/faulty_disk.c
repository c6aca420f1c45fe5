/* A disk that fails or is slow, for files whose path holds FAULTY_PATH: after FAULTY_AFTER bytes
   every write fails with FAULTY_ERRNO, or sleeps FAULTY_SLEEP_MS while the file FAULTY_WHILE exists
   (or always). Loaded before the C library by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long written;

static int is_meant(int fd) {
    const char *part = getenv("FAULTY_PATH");
    char link[64], path[4096];
    if (part == NULL) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strstr(path, part) != NULL;
}

/* 0, or the error that a write of so many bytes meets. */
static int fault(int fd, size_t size) {
    int kept = errno;
    if (!is_meant(fd)) { errno = kept; return 0; }
    const char *sleep_ms = getenv("FAULTY_SLEEP_MS"), *number = getenv("FAULTY_ERRNO");
    const char *while_ = getenv("FAULTY_WHILE");
    if (sleep_ms != NULL && (while_ == NULL || access(while_, F_OK) == 0)) {
        long ms = atol(sleep_ms);
        struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    errno = kept;
    if (number == NULL) return 0;
    const char *after = getenv("FAULTY_AFTER");
    long before = atomic_fetch_add(&written, (long)size);
    return before + (long)size > (after == NULL ? 0 : atol(after)) ? atoi(number) : 0;
}

#define REAL(name) static __typeof__(&name) real; if (real == NULL) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    int error = fault(fd, size);
    if (error) { errno = error; return -1; }
    return real(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    int error = fault(fd, size);
    if (error) { errno = error; return -1; }
    return real(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    int error = fault(fd, size);
    if (error) { errno = error; return -1; }
    return real(fd, parts, count);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(fwrite);
    int error = fault(fileno(file), size * count);
    if (error) { errno = error; return 0; }
    return real(data, size, count, file);
}
