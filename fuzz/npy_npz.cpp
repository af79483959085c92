// NumPy's files by all of their readers.
#include "base/npy.h"
#include "targets.h"
#include "train/data/npz.h"

namespace ew::fuzz {
namespace {

constexpr int64_t kMaxBytes = 1 << 24;

void read_archive(Bytes bytes) {
  const ScratchFile file(bytes, "a.npz");
  const auto archive = train::NpzFile::open(file.path());
  if (!archive.ok()) return;
  for (const std::string& name : (*archive)->names()) (void)(*archive)->read(name, kMaxBytes);
}

}  // namespace

void npy_npz(Bytes bytes) {
  if (const Result<NpyArray> array = parse_npy(bytes); array.ok()) {
    const Result<std::vector<uint8_t>> written =
        write_npy(array->dtype, array->shape, array->bytes);
    require(written.ok(), "an array that was read can be written");
    const Result<NpyArray> again = parse_npy(*written);
    require(again.ok() && again->shape == array->shape && again->bytes == array->bytes,
            "and is the same array then");
  }
  if (bytes.size() >= 2 && bytes[0] == 'P' && bytes[1] == 'K') read_archive(bytes);
}

}  // namespace ew::fuzz
