// `type: modbus`: registers and bits of a Modbus device, read at an interval, as one JSON object.
#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "agent/background.h"
#include "agent/plugin/modbus_plugin.h"
#include "agent/source.h"
#include "base/plugin.h"
#include "host/yaml.h"

namespace ew::agent {

Result<const ModbusPlugin*> modbus() {
  return load_plugin_table<ModbusPlugin>("modbus", kModbusPluginSymbol, kModbusPluginVersion);
}

namespace {

constexpr const char* kTables[] = {"holding", "input", "coil", "discrete"};
constexpr const char* kTypes[] = {"u16", "i16", "u32", "i32", "f32", "bit"};
constexpr const char* kOrders[] = {"big", "little"};
constexpr const char* kParities[] = {"none", "even", "odd"};

constexpr WordDef kRegisterWords[] = {
    {.name = "name", .help = "the field it becomes", .is_required = true},
    {.name = "address",
     .kind = WordKind::kInteger,
     .help = "first register or bit, from 0",
     .is_required = true,
     .min = 0,
     .max = 65535},
    {.name = "table",
     .kind = WordKind::kChoice,
     .help = "which of the device's four tables",
     .fallback = "holding",
     .choices = kTables},
    {.name = "type",
     .kind = WordKind::kChoice,
     .help = "what the registers hold (bits are bit)",
     .fallback = "u16",
     .choices = kTypes},
    {.name = "word_order",
     .kind = WordKind::kChoice,
     .help = "which half of 32 bits comes first",
     .fallback = "big",
     .choices = kOrders},
    {.name = "scale", .kind = WordKind::kNumber, .help = "factor", .fallback = "1"},
    {.name = "offset",
     .kind = WordKind::kNumber,
     .help = "added behind the factor",
     .fallback = "0"},
};

constexpr WordDef kWords[] = {
    {.name = "host", .help = "device behind TCP; or `device`"},
    {.name = "port",
     .kind = WordKind::kInteger,
     .help = "TCP port",
     .fallback = "502",
     .min = 1,
     .max = 65535},
    {.name = "device", .help = "serial line of an RTU device, for example /dev/ttyUSB0"},
    {.name = "baud",
     .kind = WordKind::kInteger,
     .help = "of the line",
     .fallback = "9600",
     .min = 300,
     .max = 4e6},
    {.name = "parity",
     .kind = WordKind::kChoice,
     .help = "of the line",
     .fallback = "none",
     .choices = kParities},
    {.name = "unit",
     .kind = WordKind::kInteger,
     .help = "the device's number",
     .fallback = "1",
     .min = 0,
     .max = 247},
    {.name = "interval",
     .kind = WordKind::kDuration,
     .help = "between two readings",
     .fallback = "1s",
     .min = 0.001},
    {.name = "timeout",
     .kind = WordKind::kDuration,
     .help = "for one answer",
     .fallback = "1s",
     .min = 0.001},
    {.name = "registers",
     .kind = WordKind::kList,
     .help = "what to read",
     .is_required = true,
     .words = kRegisterWords},
};

struct Register {
  std::string name;
  ModbusTable table = ModbusTable::kHolding;
  int address = 0;
  std::string type;
  bool is_little = false;
  double scale = 1;
  double offset = 0;

  bool is_bit() const { return table == ModbusTable::kCoil || table == ModbusTable::kDiscrete; }
  int words() const { return type == "u32" || type == "i32" || type == "f32" ? 2 : 1; }
  int end() const { return address + words(); }
};

// Neighbours that are read by one request.
struct Request {
  ModbusTable table = ModbusTable::kHolding;
  int first = 0;
  int end = 0;
  std::vector<Register> registers;
};

// Registers in order of their addresses; gaps of a few are cheaper to read than another request.
std::vector<Request> plan_requests(std::vector<Register> registers) {
  constexpr int kMaxGap = 8;
  std::sort(registers.begin(), registers.end(), [](const Register& a, const Register& b) {
    return std::pair(a.table, a.address) < std::pair(b.table, b.address);
  });
  std::vector<Request> requests;
  for (Register& r : registers) {
    const int most = r.is_bit() ? kModbusMaxBits : kModbusMaxRegisters;
    const bool fits = !requests.empty() && requests.back().table == r.table &&
                      r.address <= requests.back().end + kMaxGap &&
                      r.end() - requests.back().first <= most;
    if (!fits) requests.push_back({r.table, r.address, r.address, {}});
    requests.back().end = std::max(requests.back().end, r.end());
    requests.back().registers.push_back(std::move(r));
  }
  return requests;
}

double value_of(const Register& r, const uint16_t* words) {
  const uint16_t first = words[0];
  double raw = first;
  if (r.type == "i16") raw = static_cast<int16_t>(first);
  if (r.words() == 2) {
    const uint32_t high = r.is_little ? words[1] : first;
    const uint32_t low = r.is_little ? first : words[1];
    const uint32_t bits = high << 16 | low;
    if (r.type == "u32") raw = bits;
    if (r.type == "i32") raw = static_cast<int32_t>(bits);
    if (r.type == "f32") raw = std::bit_cast<float>(bits);
  }
  return raw * r.scale + r.offset;
}

void append_json(std::string& out, const Register& r, double value) {
  out += out.size() > 1 ? ",\"" : "\"";
  out += r.name;  // checked: no quotes or backslashes
  out += "\":";
  std::array<char, 40> text{};
  const int length = r.type == "bit" ? std::snprintf(text.data(), text.size(), "%d", value != 0)
                     : std::isfinite(value) ? std::snprintf(text.data(), text.size(), "%.9g", value)
                                            : std::snprintf(text.data(), text.size(), "null");
  out.append(text.data(), static_cast<size_t>(length));
}

class ModbusSource final : public Source {
 public:
  ModbusSource(const Settings& settings, std::string name, std::vector<Register> registers)
      : name_(std::move(name)),
        requests_(plan_requests(std::move(registers))),
        interval_us_(settings.duration_us("interval")) {
    address_.host = settings.text("host");
    address_.port = static_cast<int>(settings.integer("port"));
    address_.device = settings.text("device");
    address_.baud = static_cast<int>(settings.integer("baud"));
    address_.parity = settings.text("parity") == "none"   ? 'N'
                      : settings.text("parity") == "even" ? 'E'
                                                          : 'O';
    address_.unit = static_cast<int>(settings.integer("unit"));
    address_.timeout_us = settings.duration_us("timeout");
  }

  Status start(const SourceContext& context) override {
    EW_TRY(const ModbusPlugin* plugin, modbus());
    EW_TRY(client_, plugin->open(address_));
    intake_ = &context.intake;
    background_.emplace(context.loop);
    background_->start([this] { run(); });
    return {};
  }

  void stop() override { background_.reset(); }

 private:
  void run() {
    BackOff back_off;
    while (!background_->is_stopping()) {
      set_state(LinkState::kConnecting, "");
      Status status = client_->connect();
      if (status.ok()) {
        set_state(LinkState::kConnected, "");
        status = read_on(back_off);
        client_->close();
      }
      if (background_->is_stopping()) return;
      set_state(LinkState::kDisconnected, status.error().message);
      background_->wait(back_off.next());
    }
  }

  // Until a reading fails or the source stops. A reading that is due while the last one still runs
  // is left out.
  Status read_on(BackOff& back_off) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point due = Clock::now();
    do {
      EW_TRY(std::string payload, read_all());
      back_off.reset();
      background_->post([this, payload = std::move(payload)] {
        intake_->push({.arrival_us = intake_->now_us(), .topic = name_, .payload = payload});
        intake_->end_batch();
      });
      const auto now = Clock::now();
      while (due <= now) due += std::chrono::microseconds(interval_us_);
    } while (background_->wait(
        std::chrono::duration_cast<std::chrono::microseconds>(due - Clock::now()).count()));
    return {};
  }

  Result<std::string> read_all() {
    std::string payload = "{";
    for (const Request& request : requests_) {
      words_.resize(static_cast<size_t>(request.end - request.first));
      EW_TRY_VOID(client_->read(request.table, request.first, words_));
      for (const Register& r : request.registers) {
        append_json(payload, r,
                    value_of(r, &words_[static_cast<size_t>(r.address - request.first)]));
      }
    }
    return payload + "}";
  }

  void set_state(LinkState state, const std::string& detail) {
    background_->post([this, state, detail] { intake_->set_state(state, detail); });
  }

  std::string name_;
  std::vector<Request> requests_;
  int64_t interval_us_;
  ModbusAddress address_;
  std::unique_ptr<ModbusClient> client_;
  std::vector<uint16_t> words_;
  Intake* intake_ = nullptr;
  std::optional<Background> background_;
};

Result<Register> read_register(const Settings& s) {
  Register r;
  r.name = s.text("name");
  const auto is_odd = [](char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ';
  };
  if (r.name.empty() || std::any_of(r.name.begin(), r.name.end(), is_odd)) {
    return s.error("name", "expected a field name without quotes");
  }
  const std::string table = s.text("table");
  r.table = table == "holding" ? ModbusTable::kHolding
            : table == "input" ? ModbusTable::kInput
            : table == "coil"  ? ModbusTable::kCoil
                               : ModbusTable::kDiscrete;
  r.address = static_cast<int>(s.integer("address"));
  r.type = s.has("type") || !r.is_bit() ? s.text("type") : "bit";
  if (r.is_bit() != (r.type == "bit")) {
    return s.error("type", str("a ", table, " is not ", r.type, "; bits are of type bit"));
  }
  if (r.end() > 65536) return s.error("address", "its second register would be above 65535");
  r.is_little = s.text("word_order") == "little";
  r.scale = s.number("scale");
  r.offset = s.number("offset");
  return r;
}

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& name) {
  if (settings.has("host") == settings.has("device")) {
    return settings.error("host", "expected either host or device");
  }
  std::vector<Register> registers;
  for (const host::YamlNode& node : settings.node("registers")->list) {
    EW_TRY(Register r, read_register(Settings(&node, kRegisterWords)));
    registers.push_back(std::move(r));
  }
  return std::unique_ptr<Source>(
      std::make_unique<ModbusSource>(settings, name, std::move(registers)));
}

}  // namespace

extern const SourceType kModbusSource;
const SourceType kModbusSource{.name = "modbus",
                               .help = "registers of a Modbus device, TCP or RTU",
                               .words = kWords,
                               .create = create};

}  // namespace ew::agent
