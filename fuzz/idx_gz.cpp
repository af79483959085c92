// IDX files, plain and packed by gzip.
#include "targets.h"
#include "train/data/byte_file.h"
#include "train/data/idx.h"

namespace ew::fuzz {

void idx_gz(Bytes bytes) {
  (void)train::parse_idx(bytes);
  if (!train::is_gzip(bytes)) return;
  const Result<std::vector<uint8_t>> plain = train::gunzip("fuzz.gz", bytes, 1 << 22);
  if (plain.ok()) (void)train::parse_idx(*plain);
}

}  // namespace ew::fuzz
