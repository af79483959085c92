// CSV: the records, and the data set made of them, in memory and read row by row.
#include "train/data/csv.h"

#include "targets.h"
#include "train/data/dataset.h"

namespace ew::fuzz {

void csv(Bytes bytes) {
  const train::ByteFile file =
      train::ByteFile::from_bytes("fuzz.csv", {bytes.begin(), bytes.end()});
  train::CsvReader reader(file, ',');
  train::CsvRecord record;
  int64_t last = -1;
  while (true) {
    const Result<bool> more = reader.next(record);
    if (!more.ok() || !*more) break;
    require(record.offset > last && record.offset + record.bytes <= file.size(),
            "records lie one behind the other");
    last = record.offset;
    double number = 0;
    for (const std::string& field : record.fields) (void)train::parse_csv_number(field, number);
  }
  const ScratchFile copy(bytes, "d.csv");
  for (const int64_t memory_bytes : {int64_t{0}, int64_t{1} << 20}) {
    const Result<train::Dataset> data = train::open_dataset(
        copy.path(), {.memory_bytes = memory_bytes, .max_bytes = int64_t{1} << 24});
    if (data.ok()) (void)train::read_all(*data->train);
  }
}

}  // namespace ew::fuzz
