#pragma once
// The interface of libedgewise_modbus.so, which holds libmodbus: one constant table. Both sides are
// built from one tree.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace ew::agent {

inline constexpr uint32_t kModbusPluginVersion = 1;
inline constexpr const char* kModbusPluginSymbol = "edgewise_modbus_plugin";

/// The four tables of a Modbus device (Modbus Application Protocol V1.1b3, section 4.3).
enum class ModbusTable { kHolding, kInput, kCoil, kDiscrete };

/// The most that one request may read (sections 6.1 to 6.4).
constexpr int kModbusMaxRegisters = 125;
constexpr int kModbusMaxBits = 2000;

struct ModbusAddress {
  std::string host;    ///< TCP; empty for a serial line
  int port = 502;      ///< TCP
  std::string device;  ///< serial line, for example /dev/ttyUSB0
  int baud = 9600;
  char parity = 'N';  ///< N, E or O
  int stop_bits = 1;
  int unit = 1;  ///< slave, 0 to 247
  int64_t timeout_us = 1'000'000;
};

/// A connection. Blocks; one thread at a time. Errors: kIo, with the device's exception by name.
class ModbusClient {
 public:
  virtual ~ModbusClient() = default;
  virtual Status connect() = 0;
  virtual void close() = 0;
  /// Reads out.size() registers, or bits as 0 and 1, from `first` on.
  virtual Status read(ModbusTable table, int first, std::span<uint16_t> out) = 0;
};

struct ModbusPlugin {
  uint32_t version;
  Result<std::unique_ptr<ModbusClient>> (*open)(const ModbusAddress& address);
};

/// Loads the plug-in on first use. Errors: as load_plugin().
Result<const ModbusPlugin*> modbus();

}  // namespace ew::agent
