// A participant of ROS 2 that is not ours: Fast DDS, which ROS 2 takes unless told otherwise, set
// as rmw_fastrtps sets it within one machine.
// `peer hear DOMAIN FOLDER TOPIC=TYPE...` says "ready", and keeps three messages of each topic as
// they came, in FOLDER/TOPIC'S PLACE-NUMBER.cdr, or what came in 15 s.
// `peer say DOMAIN FOLDER TOPIC=TYPE...` says "ready", and sends FOLDER/TOPIC'S PLACE.cdr 15 times a
// second, with the time in its header, until its standard input ends.
// Debian: g++ libfastrtps-dev.
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/TopicDataType.hpp>
#include <fastdds/dds/topic/TypeSupport.hpp>
#include <fastdds/rtps/transport/UDPv4TransportDescriptor.h>

using namespace eprosima::fastdds::dds;
using eprosima::fastrtps::rtps::IPLocator;
using eprosima::fastrtps::rtps::Locator_t;
using eprosima::fastrtps::rtps::SerializedPayload_t;
using Bytes = std::vector<char>;

// A type of which only the name is known: its messages stay as they are.
class Raw : public TopicDataType {
public:
    explicit Raw(const std::string& name) {
        setName(name.c_str());
        m_typeSize = 16 << 20;
    }
    bool serialize(void* data, SerializedPayload_t* payload) override {
        const auto& message = *static_cast<Bytes*>(data);
        std::memcpy(payload->data, message.data(), message.size());
        payload->length = static_cast<uint32_t>(message.size());
        payload->encapsulation = CDR_LE;
        return true;
    }
    bool deserialize(SerializedPayload_t* payload, void* data) override {
        static_cast<Bytes*>(data)->assign(payload->data, payload->data + payload->length);
        return true;
    }
    std::function<uint32_t()> getSerializedSizeProvider(void* data) override {
        return [data] { return static_cast<uint32_t>(static_cast<Bytes*>(data)->size()); };
    }
    void* createData() override { return new Bytes; }
    void deleteData(void* data) override { delete static_cast<Bytes*>(data); }
    bool getKey(void*, eprosima::fastrtps::rtps::InstanceHandle_t*, bool) override { return false; }
};

// "sensor_msgs/msg/Image" in DDS is "sensor_msgs::msg::dds_::Image_".
static std::string mapped(const std::string& type) {
    const auto first = type.find('/'), last = type.rfind('/');
    return type.substr(0, first) + "::msg::dds_::" + type.substr(last + 1) + "_";
}

static DomainParticipantQos within_this_machine() {
    auto qos = PARTICIPANT_QOS_DEFAULT;
    auto udp = std::make_shared<eprosima::fastdds::rtps::UDPv4TransportDescriptor>();
    udp->interfaceWhiteList.push_back("127.0.0.1");
    udp->maxInitialPeersRange = 32;
    qos.transport().use_builtin_transports = false;
    qos.transport().user_transports.push_back(udp);
    Locator_t here;
    IPLocator::setIPv4(here, "127.0.0.1");
    qos.wire_protocol().builtin.initialPeersList.push_back(here);
    return qos;
}

struct Named {
    Topic* topic;
    std::string file;  // FOLDER/PLACE
};

static std::vector<Named> topics(DomainParticipant* participant, int count, char** words) {
    std::vector<Named> found;
    for (int place = 4; place < count; ++place) {
        const std::string word = words[place];
        const auto equals = word.find('=');
        const auto type = mapped(word.substr(equals + 1));
        TypeSupport(new Raw(type)).register_type(participant);
        auto* topic =
            participant->create_topic("rt" + word.substr(0, equals), type, TOPIC_QOS_DEFAULT);
        found.push_back({topic, std::string(words[3]) + "/" + std::to_string(place - 4)});
    }
    return found;
}

static void hear(DomainParticipant* participant, const std::vector<Named>& topics) {
    const int enough = 3;
    auto* subscriber = participant->create_subscriber(SUBSCRIBER_QOS_DEFAULT);
    auto qos = DATAREADER_QOS_DEFAULT;
    qos.reliability().kind = BEST_EFFORT_RELIABILITY_QOS;
    qos.history().depth = 5;
    qos.endpoint().history_memory_policy =
        eprosima::fastrtps::rtps::PREALLOCATED_WITH_REALLOC_MEMORY_MODE;
    std::vector<DataReader*> readers;
    for (const auto& named : topics)
        readers.push_back(subscriber->create_datareader(named.topic, qos));
    std::cout << "ready" << std::endl;
    std::vector<int> heard(readers.size(), 0);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    for (bool more = true; more && std::chrono::steady_clock::now() < until;) {
        more = false;
        for (size_t place = 0; place < readers.size(); ++place) {
            Bytes message;
            SampleInfo info;
            while (readers[place]->take_next_sample(&message, &info) == ReturnCode_t::RETCODE_OK)
                if (info.valid_data && heard[place] < enough) {
                    const auto number = std::to_string(heard[place]++);
                    std::ofstream(topics[place].file + "-" + number + ".cdr", std::ios::binary)
                        .write(message.data(), message.size());
                }
            more = more || heard[place] < enough;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

static void say(DomainParticipant* participant, const std::vector<Named>& topics) {
    auto* publisher = participant->create_publisher(PUBLISHER_QOS_DEFAULT);
    auto qos = DATAWRITER_QOS_DEFAULT;
    qos.history().depth = 5;
    qos.endpoint().history_memory_policy =
        eprosima::fastrtps::rtps::PREALLOCATED_WITH_REALLOC_MEMORY_MODE;
    std::vector<DataWriter*> writers;
    std::vector<Bytes> messages;
    for (const auto& named : topics) {
        writers.push_back(publisher->create_datawriter(named.topic, qos));
        std::ifstream file(named.file + ".cdr", std::ios::binary);
        messages.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    std::cout << "ready" << std::endl;
    std::atomic<bool> is_over{false};
    std::thread end([&] { std::cin.get(); is_over = true; });
    while (!is_over) {
        const auto now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::system_clock::now().time_since_epoch()).count();
        const uint32_t stamp[2] = {uint32_t(now_ns / 1000000000), uint32_t(now_ns % 1000000000)};
        for (size_t place = 0; place < writers.size(); ++place) {
            std::memcpy(messages[place].data() + 4, stamp, sizeof stamp);  // behind CDR's own head
            writers[place]->write(&messages[place]);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(66));
    }
    end.join();
}

int main(int count, char** words) {
    auto* factory = DomainParticipantFactory::get_instance();
    auto* participant = factory->create_participant(std::stoi(words[2]), within_this_machine());
    const auto named = topics(participant, count, words);
    (std::string(words[1]) == "hear" ? hear : say)(participant, named);
    participant->delete_contained_entities();
    factory->delete_participant(participant);
    return 0;
}
