// libedgewise_camera.so: the devices of libavdevice, for libedgewise_video.so.
extern "C" {
#include <libavdevice/avdevice.h>

__attribute__((visibility("default"))) void edgewise_camera_register(void);
void edgewise_camera_register(void) { avdevice_register_all(); }
}
