#include "host/secret_key.h"

#include <sys/stat.h>

#include <cstdlib>
#include <vector>

#include "base/file.h"

namespace ew::host {
namespace {

constexpr std::string_view kCredential = "credential:";

int hex_digit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> path_of(const std::string& source) {
  if (!source.starts_with(kCredential)) return source;
  const std::string name = source.substr(kCredential.size());
  if (name.empty() || name.find('/') != std::string::npos) {
    return invalid_argument(source, ": expected credential:NAME");
  }
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    return invalid_argument(source,
                            ": CREDENTIALS_DIRECTORY is not set; start as a systemd service with "
                            "LoadCredential=",
                            name, ":PATH");
  }
  return str(folder, "/", name);
}

}  // namespace

Result<SecretKey> load_secret_key(const std::string& source) {
  EW_TRY(const std::string path, path_of(source));
  EW_TRY(std::vector<uint8_t> content, read_file(path, 4096));
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return invalid_argument(path, ": others than its owner may read this key; chmod 600 it");
  }
  SecretKey key{};
  if (content.size() == key.size()) {
    std::copy(content.begin(), content.end(), key.begin());
    return key;
  }
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  bool is_hex = content.size() == 2 * key.size();
  for (size_t i = 0; is_hex && i < key.size(); ++i) {
    const int high = hex_digit(content[2 * i]);
    const int low = hex_digit(content[2 * i + 1]);
    is_hex = high >= 0 && low >= 0;
    key[i] = static_cast<uint8_t>(high * 16 + low);
  }
  if (!is_hex) {
    return invalid_data(path, ": expected a key of 32 bytes or 64 hexadecimal digits, found ",
                        content.size(), " bytes; make one with: head -c 32 /dev/urandom > KEY");
  }
  return key;
}

}  // namespace ew::host
