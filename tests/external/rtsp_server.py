#!/usr/bin/env python3
"""A camera on the network: serves a video file over RTSP as H.264, until it is killed.

  rtsp_server.py PORT FILE.avi        rtsp://127.0.0.1:PORT/clip

Each client sees the file from its begin, at its own pace. Needs Debian's gir1.2-gst-rtsp-server-1.0,
python3-gi and gstreamer1.0-plugins-good (and so their Python).
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = ("( filesrc location={} ! avidemux ! videoconvert ! video/x-raw,format=I420 ! "
            "openh264enc gop-size=5 bitrate=2000000 ! rtph264pay name=pay0 pt=96 config-interval=1 )")


def main():
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(sys.argv[2]))
    server.get_mount_points().add_factory("/clip", factory)
    if server.attach(None) == 0:
        sys.exit(f"rtsp_server.py: cannot listen on port {sys.argv[1]}")
    print("listening", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
