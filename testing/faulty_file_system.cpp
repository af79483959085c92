#include "testing/faulty_file_system.h"

#include <algorithm>

namespace ew::testing {
namespace {

constexpr size_t kSectorBytes = 512;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

class FaultyFile final : public host::File {
 public:
  FaultyFile(FaultyFileSystem& files, std::shared_ptr<FaultyFileSystem::Node> node)
      : files_(files), node_(std::move(node)) {}

  Status append(std::span<const host::Bytes> parts) override {
    const std::lock_guard lock(files_.mutex_);
    const bool had_crashed = files_.steps_ >= files_.crash_step_;
    Status status = files_.step();
    std::vector<uint8_t> bytes;
    for (const host::Bytes part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
    uint64_t used = 0;
    for (const auto& [name, node] : files_.names_) used += node->now.size();
    if (status.ok() && used + bytes.size() > files_.limit_bytes_) {
      status = make_error(ErrorCode::kResourceLimit, "no space left");
    }
    if (had_crashed) return status;
    const size_t done = status.ok() ? bytes.size() : bytes.size() / 2;
    node_->now.insert(node_->now.end(), bytes.begin(),
                      bytes.begin() + static_cast<ptrdiff_t>(done));
    return status;
  }

  Result<size_t> pread(uint64_t offset, host::MutableBytes out) const override {
    const std::lock_guard lock(files_.mutex_);
    if (offset >= node_->now.size()) return size_t{0};
    const size_t size = std::min<size_t>(out.size(), node_->now.size() - offset);
    std::copy_n(node_->now.begin() + static_cast<ptrdiff_t>(offset), size, out.begin());
    return size;
  }

  Status sync_data() override {
    std::unique_lock lock(files_.mutex_);
    ++files_.held_syncs_;
    files_.changed_.notify_all();
    files_.changed_.wait(lock, [&] { return !files_.are_syncs_held_; });
    --files_.held_syncs_;
    EW_TRY_VOID(files_.step());
    node_->durable = node_->now;
    return {};
  }

  Status truncate(uint64_t size) override {
    const std::lock_guard lock(files_.mutex_);
    EW_TRY_VOID(files_.step());
    node_->now.resize(size);
    return {};
  }

  Result<uint64_t> size() const override {
    const std::lock_guard lock(files_.mutex_);
    return node_->now.size();
  }

 private:
  FaultyFileSystem& files_;
  std::shared_ptr<FaultyFileSystem::Node> node_;
};

class FaultyLock final : public host::FileLock {
 public:
  FaultyLock(FaultyFileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~FaultyLock() override {
    const std::lock_guard lock(files_.mutex_);
    files_.locks_.erase(path_);
  }
  FaultyLock(const FaultyLock&) = delete;
  FaultyLock& operator=(const FaultyLock&) = delete;

 private:
  FaultyFileSystem& files_;
  std::string path_;
};

FaultyFileSystem::FaultyFileSystem() = default;
FaultyFileSystem::~FaultyFileSystem() = default;

Status FaultyFileSystem::step() {
  ++steps_;
  if (steps_ >= crash_step_) return make_error(ErrorCode::kIo, "the process has ended");
  if (steps_ >= fail_first_ && steps_ < fail_first_ + fail_count_) {
    return make_error(fail_code_, "the disk refused step ", steps_);
  }
  return {};
}

int64_t FaultyFileSystem::steps() const {
  const std::lock_guard lock(mutex_);
  return steps_;
}

void FaultyFileSystem::crash_at(int64_t step) {
  const std::lock_guard lock(mutex_);
  crash_step_ = step;
}

bool FaultyFileSystem::has_crashed() const {
  const std::lock_guard lock(mutex_);
  return steps_ >= crash_step_;
}

void FaultyFileSystem::fail_steps(int64_t first, int64_t count, ErrorCode code) {
  const std::lock_guard lock(mutex_);
  fail_first_ = first;
  fail_count_ = count;
  fail_code_ = code;
}

void FaultyFileSystem::limit_bytes(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_bytes_ = bytes;
}

void FaultyFileSystem::hold_syncs(bool is_held) {
  const std::lock_guard lock(mutex_);
  are_syncs_held_ = is_held;
  changed_.notify_all();
}

void FaultyFileSystem::wait_for_held_sync() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return held_syncs_ > 0; });
}

void FaultyFileSystem::restart_after_kill() {
  const std::lock_guard lock(mutex_);
  crash_step_ = INT64_MAX;
  fail_first_ = INT64_MAX;
  steps_ = 0;
}

void FaultyFileSystem::forget_unsynced(Node& node, Rng& rng) {
  const std::vector<uint8_t> durable = node.durable;
  const bool was_appended = node.now.size() >= durable.size() &&
                            std::equal(durable.begin(), durable.end(), node.now.begin());
  if (!was_appended) {
    if (rng.below(2) == 0) node.now = durable;
  } else {
    const size_t tail = node.now.size() - durable.size();
    switch (rng.below(4)) {
      case 0:
        node.now = durable;
        break;
      case 1:
        break;
      case 2:
        node.now.resize(durable.size() + (tail == 0 ? 0 : rng.below(tail)));
        break;
      default:
        // The size was recorded, but only some sectors were written.
        for (size_t at = durable.size(); at < node.now.size(); ++at) {
          const bool begins_sector = at == durable.size() || at % kSectorBytes == 0;
          if (!begins_sector || rng.below(2) == 0) continue;
          const size_t end = std::min(node.now.size(), (at / kSectorBytes + 1) * kSectorBytes);
          std::fill(node.now.begin() + static_cast<ptrdiff_t>(at),
                    node.now.begin() + static_cast<ptrdiff_t>(end), uint8_t{0});
        }
    }
  }
  node.durable = node.now;
}

void FaultyFileSystem::restart_after_power_loss(uint64_t seed) {
  restart_after_kill();
  const std::lock_guard lock(mutex_);
  Rng rng(seed);
  // Each changed name may have reached the disk or not.
  std::map<std::string, std::shared_ptr<Node>> names;
  std::set<std::string> all;
  for (const auto& [name, node] : names_) all.insert(name);
  for (const auto& [name, node] : durable_names_) all.insert(name);
  for (const std::string& name : all) {
    const auto now = names_.find(name);
    const auto durable = durable_names_.find(name);
    const std::shared_ptr<Node> a = now == names_.end() ? nullptr : now->second;
    const std::shared_ptr<Node> b = durable == durable_names_.end() ? nullptr : durable->second;
    const std::shared_ptr<Node> chosen = a == b || rng.below(2) == 0 ? a : b;
    if (chosen) names[name] = chosen;
  }
  std::set<Node*> seen;
  for (const auto& [name, node] : names) {
    if (seen.insert(node.get()).second) forget_unsynced(*node, rng);
  }
  names_ = names;
  durable_names_ = names;
}

std::vector<uint8_t> FaultyFileSystem::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  return found == names_.end() ? std::vector<uint8_t>{} : found->second->now;
}

void FaultyFileSystem::set_content(const std::string& path, std::vector<uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  auto node = std::make_shared<Node>();
  node->now = std::move(bytes);
  node->durable = node->now;
  names_[path] = durable_names_[path] = node;
}

void FaultyFileSystem::flip_bit(const std::string& path, uint64_t bit) {
  const std::lock_guard lock(mutex_);
  Node& node = *names_.at(path);
  node.now[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  node.durable = node.now;
}

Result<std::unique_ptr<host::File>> FaultyFileSystem::open(const std::string& path,
                                                           host::OpenMode mode) {
  const std::lock_guard lock(mutex_);
  if (mode == host::OpenMode::kCreate) {
    EW_TRY_VOID(step());
    std::shared_ptr<Node>& node = names_[path];
    if (!node) node = std::make_shared<Node>();
    node->now.clear();
  } else if (!names_.contains(path)) {
    return make_error(ErrorCode::kNotFound, path, ": no such file");
  }
  return std::unique_ptr<host::File>(std::make_unique<FaultyFile>(*this, names_[path]));
}

Status FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  EW_TRY_VOID(step());
  const auto found = names_.find(from);
  if (found == names_.end()) return make_error(ErrorCode::kNotFound, from, ": no such file");
  names_[to] = found->second;
  names_.erase(from);
  return {};
}

Status FaultyFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  EW_TRY_VOID(step());
  names_.erase(path);
  return {};
}

Status FaultyFileSystem::remove_tree(const std::string& path) {
  const std::lock_guard lock(mutex_);
  EW_TRY_VOID(step());
  std::erase_if(names_, [&](const auto& entry) {
    return entry.first == path || entry.first.starts_with(path + "/");
  });
  return {};
}

Status FaultyFileSystem::sync_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  EW_TRY_VOID(step());
  std::erase_if(durable_names_, [&](const auto& entry) {
    return folder_of(entry.first) == path && !names_.contains(entry.first);
  });
  for (const auto& [name, node] : names_) {
    if (folder_of(name) == path) durable_names_[name] = node;
  }
  return {};
}

Status FaultyFileSystem::make_directory(const std::string&) {
  const std::lock_guard lock(mutex_);
  return step();
}

Result<std::vector<std::string>> FaultyFileSystem::list(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> out;
  for (const auto& [name, node] : names_) {
    if (!name.starts_with(path + "/")) continue;
    const std::string below = name.substr(path.size() + 1);
    out.insert(below.substr(0, below.find('/')));
  }
  return std::vector<std::string>(out.begin(), out.end());
}

Result<std::unique_ptr<host::FileLock>> FaultyFileSystem::lock(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (!locks_.insert(path).second) return make_error(ErrorCode::kIo, path, ": in use");
  return std::unique_ptr<host::FileLock>(std::make_unique<FaultyLock>(*this, path));
}

}  // namespace ew::testing
