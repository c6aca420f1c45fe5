"""The ROS 2 message definitions that session files carry, in ROS's ``ros2msg`` text form.

Field lists are those of common_interfaces and geometry2 (ROS 2 Humble and later).
"""

from __future__ import annotations

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
IMU = "sensor_msgs/msg/Imu"
TEXT = "std_msgs/msg/String"
COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"
BYTES = "std_msgs/msg/UInt8MultiArray"
POSES = "geometry_msgs/msg/PoseArray"
POINTS = "sensor_msgs/msg/PointCloud2"

_FIELDS = {
    "builtin_interfaces/Time": "int32 sec\nuint32 nanosec",
    "std_msgs/Header": "builtin_interfaces/Time stamp\nstring frame_id",
    "geometry_msgs/Vector3": "float64 x\nfloat64 y\nfloat64 z",
    "geometry_msgs/Quaternion": "float64 x\nfloat64 y\nfloat64 z\nfloat64 w",
    "geometry_msgs/Transform": "geometry_msgs/Vector3 translation\n"
    "geometry_msgs/Quaternion rotation",
    "geometry_msgs/TransformStamped": "std_msgs/Header header\nstring child_frame_id\n"
    "geometry_msgs/Transform transform",
    "geometry_msgs/Point": "float64 x\nfloat64 y\nfloat64 z",
    "geometry_msgs/Pose": "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation",
    "sensor_msgs/PointField": "string name\nuint32 offset\nuint8 datatype\nuint32 count",
    "std_msgs/MultiArrayLayout": "std_msgs/MultiArrayDimension[] dim\nuint32 data_offset",
    "std_msgs/MultiArrayDimension": "string label\nuint32 size\nuint32 stride",
    "sensor_msgs/RegionOfInterest": "uint32 x_offset\nuint32 y_offset\nuint32 height\n"
    "uint32 width\nbool do_rectify",
}
_HEADER = ("std_msgs/Header", "builtin_interfaces/Time")
_MESSAGES = {
    IMAGE: (
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n"
        "uint8 is_bigendian\nuint32 step\nuint8[] data",
        _HEADER,
    ),
    COMPRESSED_IMAGE: ("std_msgs/Header header\nstring format\nuint8[] data", _HEADER),
    COMPRESSED_VIDEO: (
        "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format",
        ("builtin_interfaces/Time",),
    ),
    CAMERA_INFO: (
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\n"
        "float64[] d\nfloat64[9] k\nfloat64[9] r\nfloat64[12] p\nuint32 binning_x\n"
        "uint32 binning_y\nsensor_msgs/RegionOfInterest roi",
        (*_HEADER, "sensor_msgs/RegionOfInterest"),
    ),
    TRANSFORMS: (
        "geometry_msgs/TransformStamped[] transforms",
        (
            "geometry_msgs/TransformStamped",
            *_HEADER,
            "geometry_msgs/Transform",
            "geometry_msgs/Vector3",
            "geometry_msgs/Quaternion",
        ),
    ),
    IMU: (
        "std_msgs/Header header\ngeometry_msgs/Quaternion orientation\n"
        "float64[9] orientation_covariance\ngeometry_msgs/Vector3 angular_velocity\n"
        "float64[9] angular_velocity_covariance\ngeometry_msgs/Vector3 linear_acceleration\n"
        "float64[9] linear_acceleration_covariance",
        (*_HEADER, "geometry_msgs/Quaternion", "geometry_msgs/Vector3"),
    ),
    POSES: (
        "std_msgs/Header header\ngeometry_msgs/Pose[] poses",
        (*_HEADER, "geometry_msgs/Pose", "geometry_msgs/Point", "geometry_msgs/Quaternion"),
    ),
    POINTS: (
        "std_msgs/Header header\nuint32 height\nuint32 width\n"
        "sensor_msgs/PointField[] fields\nbool is_bigendian\nuint32 point_step\n"
        "uint32 row_step\nuint8[] data\nbool is_dense",
        (*_HEADER, "sensor_msgs/PointField"),
    ),
    TEXT: ("string data", ()),
    BYTES: (
        "std_msgs/MultiArrayLayout layout\nuint8[] data",
        ("std_msgs/MultiArrayLayout", "std_msgs/MultiArrayDimension"),
    ),
}


def definition(name: str) -> bytes:
    """Return a message's definition followed by those it is made of."""
    fields, parts = _MESSAGES[name]
    separator = "\n" + "=" * 80 + "\n"
    texts = [fields, *(f"MSG: {part}\n{_FIELDS[part]}" for part in parts)]
    return (separator.join(texts) + "\n").encode()
