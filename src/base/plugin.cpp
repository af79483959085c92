#include "base/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/file.h"

namespace ew {
namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string program_folder() {
  char buffer[4096];
  const ssize_t n = ::readlink("/proc/self/exe", buffer, sizeof(buffer));
  return n > 0 && n < static_cast<ssize_t>(sizeof(buffer))
             ? folder_of(std::string(buffer, static_cast<size_t>(n)))
             : "";
}

std::string own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&load_plugin), &info) == 0 || !info.dli_fname) {
    return "";
  }
  return folder_of(info.dli_fname);
}

std::vector<std::string> search_folders() {
  std::vector<std::string> out;
  if (const std::string folder = program_folder(); !folder.empty()) {
    out.push_back(folder + "/../lib/edgewise");
  }
  if (const std::string folder = own_folder(); !folder.empty()) {
    for (const char* below : {"/../lib/edgewise", "/../../lib/edgewise", ""}) {
      out.push_back(folder + below);
    }
  }
  if (const char* path = std::getenv("EDGEWISE_PLUGIN_PATH")) {
    for (std::string& folder : split(path, ':')) {
      if (!folder.empty()) out.push_back(std::move(folder));
    }
  }
  // For other programs with the library in them.
  out.insert(out.end(), {"/usr/local/lib/edgewise", "/usr/lib/edgewise"});
  return out;
}

}  // namespace

Result<void*> load_plugin(std::string_view name, const char* symbol) {
  const std::string file = str("libedgewise_", name, ".so");
  const std::vector<std::string> folders = search_folders();
  for (const std::string& folder : folders) {
    const std::string path = str(folder, "/", file);
    if (!file_exists(path)) continue;
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* address = library ? ::dlsym(library, symbol) : nullptr;
    if (address == nullptr) {
      const char* reason = ::dlerror();
      return unsupported("cannot load ", path, ": ", reason ? reason : "unknown reason");
    }
    return address;
  }
  return make_error(ErrorCode::kNotFound, file, " is not installed; looked in ",
                    join(folders, ", "), "; set EDGEWISE_PLUGIN_PATH to its folder");
}

}  // namespace ew
