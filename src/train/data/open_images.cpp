// A folder of JPEG and PNG files by class.
#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "train/data/byte_file.h"
#include "train/data/folder_source.h"
#include "train/data/formats.h"
#include "train/data/image.h"

namespace ew::train {
namespace {

constexpr int64_t kMaxSide = 16384;

// Most files say their size in the first kilobytes; an embedded thumbnail may stand before it.
Result<ImageInfo> file_info(const std::string& path) {
  EW_TRY(const ByteFile file, ByteFile::open(path));
  Result<ImageInfo> info = invalid_data("empty");
  for (const int64_t limit : {int64_t{65536}, kMaxImageBytes}) {
    std::vector<uint8_t> head(static_cast<size_t>(std::min(limit, file.size())));
    EW_TRY_VOID(file.read(0, head));
    info = image_info(head);
    if (info.ok() || file.size() <= limit) break;
  }
  if (!info.ok()) return at(path, info.error());
  return info;
}

struct Wanted {
  int64_t height = 0;  ///< 0: as stored
  int64_t width = 0;
  int channels = 0;  ///< 0: as stored
};

Result<Wanted> parse_wanted(const SpecOptions& spec) {
  EW_TRY_VOID(spec.allow({"size", "channels"}));
  Wanted wanted;
  if (const std::string* size = spec.find("size")) {
    const auto sides = split(*size, 'x');
    if (sides.size() != 2) {
      return invalid_argument("data option size: expected HxW such as 96x96, found '", *size, "'");
    }
    EW_TRY(wanted.height, parse_option_int("data option size: height", sides[0], 1, kMaxSide));
    EW_TRY(wanted.width, parse_option_int("data option size: width", sides[1], 1, kMaxSide));
  }
  if (const std::string* channels = spec.find("channels")) {
    if (*channels != "1" && *channels != "3") {
      return invalid_argument("data option channels: expected 1 or 3, found '", *channels, "'");
    }
    wanted.channels = (*channels)[0] - '0';
  }
  return wanted;
}

// The size that all files have, or will have; every header is looked at.
Result<ImageInfo> common_size(const ClassFolders& folders, const Wanted& wanted) {
  ImageInfo common;
  std::string first;
  for (const ClassFile* file : folders.all()) {
    EW_TRY(ImageInfo info, file_info(file->path));
    if (wanted.channels != 0) info.channels = wanted.channels;
    if (wanted.height != 0) {
      info.height = wanted.height;
      info.width = wanted.width;
    }
    if (first.empty()) {
      common = info;
      first = file->path;
    } else if (info.channels != common.channels) {
      return invalid_data(file->path, ": has ", info.channels, " channels, ", first, " has ",
                          common.channels, "; add ?channels=1 or ?channels=3");
    } else if (info != common) {
      return invalid_data(file->path, ": is ", info, ", ", first, " is ", common,
                          "; add ?size=", common.height, "x", common.width, " to resize");
    }
  }
  return common;
}

Status decode_file(const std::string& path, const ImageInfo& expected, bool resize, void* out) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, kMaxImageBytes));
  auto image = decode_image(bytes, expected.channels);
  if (!image.ok()) return at(path, image.error());
  if (resize) {
    resize_bilinear(*image, expected.height, expected.width, static_cast<float*>(out));
    return {};
  }
  if (image->info != expected) {
    return invalid_data(path, ": is ", image->info, " now, was ", expected, " when it was opened");
  }
  std::memcpy(out, image->pixels.data(), image->pixels.size());
  return {};
}

}  // namespace

Result<Parts> open_image_folder(const std::string& path, const SpecOptions& spec,
                                const DatasetOptions& options) {
  EW_TRY(const Wanted wanted, parse_wanted(spec));
  EW_TRY(ClassFolders folders, list_class_folders(path, {".jpg", ".jpeg", ".png"}, options.seed));
  EW_TRY(const ImageInfo size, common_size(folders, wanted));
  if (auto status = check_image_size(size); !status.ok()) return at(path, status.error());
  const bool resize = wanted.height != 0;
  const FileDecoder decoder{Shape{size.height, size.width, size.channels},
                            resize ? DType::kF32 : DType::kU8,
                            [size, resize](const std::string& file, void* out) {
                              return decode_file(file, size, resize, out);
                            }};
  Parts parts = folder_parts(std::move(folders), decoder, options.memory_bytes);
  parts.preprocessing.set("kind", "image");
  parts.preprocessing.set("value_range", 255);
  parts.preprocessing.set("size", Config::ints({size.height, size.width}));
  parts.preprocessing.set("channels", size.channels);
  return parts;
}

}  // namespace ew::train
