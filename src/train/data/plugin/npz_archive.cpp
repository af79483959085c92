// The only file that uses libzip.
#include <zip.h>

#include <algorithm>

#include "base/npy.h"
#include "train/data/byte_file.h"
#include "train/data/plugin/decoders.h"

namespace ew::train {
namespace {

constexpr zip_int64_t kMaxMembers = 4096;
constexpr zip_uint64_t kMaxDeflateRatio =
    1032;  // what the format can reach (zlib.net/zlib_tech.html)

struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Member = std::unique_ptr<zip_file_t, CloseMember>;

// Reads until `out` is full or the member ends; the number of bytes read, or -1.
int64_t read_up_to(zip_file_t* member, std::span<uint8_t> out) {
  size_t done = 0;
  while (done < out.size()) {
    const zip_int64_t n = zip_fread(member, out.data() + done, out.size() - done);
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<int64_t>(done);
}

Status check_member(const zip_stat_t& info, int64_t file_bytes) {
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if ((info.valid & kNeeded) != kNeeded) return invalid_data("the member has no size or method");
  if ((info.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && info.encryption_method != ZIP_EM_NONE) {
    return unsupported("the member is encrypted");
  }
  if (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE) {
    return unsupported("ZIP method ", info.comp_method, " (expected stored or deflated)");
  }
  const zip_uint64_t ratio = info.comp_method == ZIP_CM_STORE ? 1 : kMaxDeflateRatio;
  if (info.comp_size > static_cast<zip_uint64_t>(file_bytes) ||
      info.size / ratio > info.comp_size) {
    return invalid_data("the member claims ", info.size, " bytes from ", info.comp_size,
                        " in a file of ", file_bytes);
  }
  return {};
}

struct CloseArchive {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;

class ZipNpz final : public NpzFile {
 public:
  ZipNpz(Archive archive, std::string path, int64_t file_bytes, std::vector<std::string> names)
      : archive_(std::move(archive)),
        path_(std::move(path)),
        file_bytes_(file_bytes),
        names_(std::move(names)) {}
  const std::vector<std::string>& names() const override { return names_; }
  Result<ir::Tensor> read(const std::string& name, int64_t max_bytes) const override;

 private:
  Archive archive_;
  std::string path_;
  int64_t file_bytes_;
  std::vector<std::string> names_;
};

Result<ir::Tensor> ZipNpz::read(const std::string& name, int64_t max_bytes) const {
  const std::string where = str(path_, "[", name, "]");
  zip_t* zip = archive_.get();
  zip_stat_t info;
  if (zip_stat(zip, (name + ".npy").c_str(), 0, &info) != 0) {
    return make_error(ErrorCode::kNotFound, path_, ": no array '", name, "' (it has ",
                      join(names_, ", "), ")");
  }
  if (auto status = check_member(info, file_bytes_); !status.ok()) return at(where, status.error());
  const Member member(zip_fopen_index(zip, info.index, 0));
  if (!member) return invalid_data(where, ": cannot open: ", zip_strerror(zip));
  const auto damaged = [&]() {
    return invalid_data(where, ": damaged: ", zip_file_strerror(member.get()));
  };
  std::vector<uint8_t> head(static_cast<size_t>(std::min<zip_uint64_t>(info.size, kNpyMaxHeader)));
  const int64_t head_bytes = read_up_to(member.get(), head);
  if (head_bytes < 0) return damaged();
  head.resize(static_cast<size_t>(head_bytes));
  auto header = parse_npy_header(head);
  if (!header.ok()) return at(where, header.error());
  if (auto status = check_shape(header->shape); !status.ok()) return at(where, status.error());
  if (header->data_bytes > max_bytes) {
    return make_error(ErrorCode::kResourceLimit, where, ": ", header->data_bytes,
                      " bytes, above the limit of ", max_bytes);
  }
  const auto expected = static_cast<zip_uint64_t>(header->data_bytes);
  if (info.size - header->data_offset != expected) {
    return invalid_data(where, ": shape ", header->shape, " of ", dtype_name(header->dtype),
                        " needs ", expected, " bytes, the member has ",
                        info.size - header->data_offset);
  }
  ir::Tensor tensor(header->dtype, header->shape);
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_data());
  const size_t in_head = head.size() - header->data_offset;
  std::copy_n(head.data() + header->data_offset, in_head, bytes);
  const std::span<uint8_t> rest(bytes + in_head, tensor.size_bytes() - in_head);
  const int64_t got = read_up_to(member.get(), rest);
  if (got < 0) return damaged();
  if (static_cast<size_t>(got) != rest.size()) return invalid_data(where, ": cut short");
  uint8_t beyond = 0;  // the checksum is verified when the end is reached
  if (zip_fread(member.get(), &beyond, 1) != 0) return damaged();
  if (header->fortran_order && header->shape.rank() > 1) {
    ir::Tensor ordered(header->dtype, header->shape);
    npy_fortran_to_c(*header, bytes, static_cast<uint8_t*>(ordered.mutable_data()));
    tensor = std::move(ordered);
  }
  npy_to_native(*header, static_cast<uint8_t*>(tensor.mutable_data()), tensor.size());
  return tensor;
}

}  // namespace

Result<std::unique_ptr<const NpzFile>> open_npz_archive(const std::string& path) {
  EW_TRY(const ByteFile probe, ByteFile::open(path));  // for its errors and its size
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    Error result = invalid_data(path, ": cannot read as .npz: ", zip_error_strerror(&error));
    zip_error_fini(&error);
    return result;
  }
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  if (count > kMaxMembers) {
    return make_error(ErrorCode::kResourceLimit, path, ": ", count, " members, above the limit of ",
                      kMaxMembers);
  }
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    const std::string_view text = name == nullptr ? "" : name;
    if (text.ends_with(".npy")) names.emplace_back(text.substr(0, text.size() - 4));
  }
  return std::unique_ptr<const NpzFile>(
      std::make_unique<ZipNpz>(std::move(archive), path, probe.size(), std::move(names)));
}

}  // namespace ew::train
