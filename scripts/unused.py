"""What nothing here calls, but others do. Read by vulture alone, never run."""

from types import SimpleNamespace

_ = SimpleNamespace()

# Entry points of pyproject.toml.
_.FolderDriver
_.FoxgloveDriver
_.Ros2Driver
_.LucasKanade
_.Ros2  # by its name, see recording/foreign/decoders.py
_.AzureKinectDriver
_.PlaybackDriver
_.SyntheticDriver
_.create_auto
_.create_recorded

# Python asks for these by itself.
_.__getattr__
_.writelines

# For people's own programs; docs and tests call them.
_.CAMERA_CHECKS
_.DRIVER_CHECKS
_.from_pretrained
_.TrueTracks
_.infer
_.to_numpy
_.licence
_.rel_error

# Set for a library that reads them: PyAV, torch, Open3D.
_.time_base
_.pts
_.pix_fmt
_.allow_tf32
_.allow_fp16_reduced_precision_reduction
_.background_color
_.point_size
_.intrinsic

# Names that a protocol or a library wants.
severity
output_size
parameter  # changed in place

# Read by name through their keys.
_.rs_fill_percent
_.rs_distance_mm
_.rs_angle_deg
_.rs_plane_rms_mm
_.rs_plane_rms_percent
_.rs_subpixel_rms_px
_.rs_z_accuracy_percent

# Owners: what they hold lives as long as they do.
_.cloud_feeds
_.losses

# Fields that a page's template, JSON or a person reads.
_.out_of_range_pixels
_.fps_captured
_.fps_refined
_.fps_shown
_.fps_shown_recent
_.plots
_.is_key
_.begins

# Decoders, found by the name of their encoding.
_.FoxgloveJson
_.FoxgloveProtobuf
_.Ros1
_.Ros2

# A tracker, found by its entry point; truth that benches and tests compare with.
_.LucasKanade
_.TrueTracks

# Called back: by a Foxglove server, at the end of Python.
_.on_subscribe
_.on_unsubscribe
_.on_get_parameters
_.on_set_parameters
_.serialize  # cyclonedds
_.log_severity_level  # onnxruntime
_.peak_flop_s  # in the JSON of bench
_.deserialize
_._forget_all

# A view's picture as tests see it; a figure of a soak as its table prints it.
_.image_size
_.children_threads

# What PyAV's encoders and decoders are told.
_.framerate
_.gop_size
_.max_b_frames
_.pict_type
_.thread_count
# What Open3D draws by.
_.vertex_colors
_.light_on
_.mesh_show_back_face
