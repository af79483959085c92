#include "agent/plugin/modbus_plugin.h"

#include <modbus/modbus.h>

#include <cerrno>
#include <vector>

namespace ew::agent {
namespace {

class Client final : public ModbusClient {
 public:
  ~Client() override {
    if (handle_ == nullptr) return;
    close();
    modbus_free(handle_);
  }

  Status open(const ModbusAddress& a) {
    constexpr int kDataBits = 8;
    if (a.host.empty()) {
      name_ = a.device;
      handle_ = modbus_new_rtu(a.device.c_str(), a.baud, a.parity, kDataBits, a.stop_bits);
    } else {
      name_ = str(a.host, ":", a.port);
      handle_ = modbus_new_tcp_pi(a.host.c_str(), str(a.port).c_str());
    }
    if (handle_ == nullptr) return failed("cannot use the address");
    if (modbus_set_slave(handle_, a.unit) != 0) return failed("cannot use the unit");
    const auto seconds = static_cast<uint32_t>(a.timeout_us / 1'000'000);
    const auto us = static_cast<uint32_t>(a.timeout_us % 1'000'000);
    modbus_set_response_timeout(handle_, seconds, us);
    return {};
  }

  Status connect() override {
    if (modbus_connect(handle_) != 0) return failed("cannot connect");
    is_connected_ = true;
    return {};
  }

  void close() override {
    if (is_connected_) modbus_close(handle_);
    is_connected_ = false;
  }

  Status read(ModbusTable table, int first, std::span<uint16_t> out) override {
    const auto count = static_cast<int>(out.size());
    const bool are_bits = table == ModbusTable::kCoil || table == ModbusTable::kDiscrete;
    int got = 0;
    if (are_bits) {
      bits_.resize(out.size());
      got = table == ModbusTable::kCoil
                ? modbus_read_bits(handle_, first, count, bits_.data())
                : modbus_read_input_bits(handle_, first, count, bits_.data());
      for (size_t i = 0; i < out.size(); ++i) out[i] = bits_[i];
    } else {
      got = table == ModbusTable::kHolding
                ? modbus_read_registers(handle_, first, count, out.data())
                : modbus_read_input_registers(handle_, first, count, out.data());
    }
    if (got != count) return failed(str("cannot read ", count, " at ", first));
    return {};
  }

 private:
  Error failed(const std::string& what) const {
    return make_error(ErrorCode::kIo, "Modbus ", name_, ": ", what, ": ", modbus_strerror(errno));
  }

  std::string name_;
  modbus_t* handle_ = nullptr;
  bool is_connected_ = false;
  std::vector<uint8_t> bits_;
};

Result<std::unique_ptr<ModbusClient>> open_client(const ModbusAddress& address) {
  auto client = std::make_unique<Client>();
  EW_TRY_VOID(client->open(address));
  return std::unique_ptr<ModbusClient>(std::move(client));
}

}  // namespace
}  // namespace ew::agent

extern "C" __attribute__((visibility("default")))
const ew::agent::ModbusPlugin edgewise_modbus_plugin;
const ew::agent::ModbusPlugin edgewise_modbus_plugin = {ew::agent::kModbusPluginVersion,
                                                        ew::agent::open_client};
