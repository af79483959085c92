#include "stream.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

#include "report.h"

namespace ew::cli {
namespace {

int64_t product(const std::vector<int64_t>& shape, size_t begin, size_t end) {
  int64_t n = 1;
  for (size_t d = begin; d < end; ++d) n *= shape[d];
  return n;
}

// The parts side by side along `axis`.
Array join(const std::vector<Array>& parts, size_t axis) {
  std::vector<int64_t> shape = parts.front().shape();
  shape[axis] = 0;
  for (const Array& part : parts) shape[axis] += part.shape()[axis];
  Array all(parts.front().dtype(), shape);
  auto* to = static_cast<uint8_t*>(all.mutable_data());
  const int64_t outer = product(shape, 0, axis);
  for (int64_t o = 0; o < outer; ++o) {
    for (const Array& part : parts) {
      const size_t bytes = part.size_bytes() / static_cast<size_t>(outer);
      if (bytes == 0) continue;
      std::memcpy(to, static_cast<const uint8_t*>(part.data()) + static_cast<size_t>(o) * bytes,
                  bytes);
      to += bytes;
    }
  }
  return all;
}

// A time axis that the input has.
Result<size_t> time_axis(const StreamSession& session, const Array& input, int axis) {
  const std::vector<int64_t> frame = session.frame().shape;
  const std::vector<int64_t>& given = input.shape();
  const auto time = static_cast<size_t>(axis);
  bool fits = given.size() == frame.size() && input.dtype() == session.frame().dtype;
  for (size_t d = 1; fits && d < frame.size(); ++d) fits = d == time || given[d] == frame[d];
  if (fits) return time;
  std::string wanted = "rows";
  std::string found;
  for (size_t d = 1; d < frame.size(); ++d) {
    wanted += d == time ? ", frames" : ", " + std::to_string(frame[d]);
  }
  for (size_t d = 0; d < given.size(); ++d) {
    found += (d > 0 ? ", " : "") + std::to_string(given[d]);
  }
  return Error{ErrorCode::kInvalidArgument, "--stream: expected an input of shape (" + wanted +
                                                ") and type " + dtype_text(session.frame().dtype) +
                                                ", found (" + found + ") and " +
                                                dtype_text(input.dtype())};
}

// Frame `index` of a row of the input, into the session.
void write_frame(StreamSession& session, const Array& input, size_t time, int64_t row,
                 int64_t index) {
  const std::span<uint8_t> to = session.frame_bytes();
  const int64_t outer = product(input.shape(), 1, time);
  const size_t bytes = to.size() / static_cast<size_t>(outer);
  const int64_t frames = input.shape()[time];
  for (int64_t o = 0; o < outer; ++o) {
    std::memcpy(to.data() + static_cast<size_t>(o) * bytes,
                static_cast<const uint8_t*>(input.data()) +
                    static_cast<size_t>((row * outer + o) * frames + index) * bytes,
                bytes);
  }
}

// What a row of the input gives, per output; without parts if it has too few frames.
std::vector<std::vector<Array>> run_row(StreamSession& session, const Array& input, size_t time,
                                        int64_t row) {
  std::vector<std::vector<Array>> parts(session.output_count());
  session.reset();
  for (int64_t i = 0; i < input.shape()[time]; ++i) {
    write_frame(session, input, time, row, i);
    if (!session.push()) continue;
    for (size_t k = 0; k < parts.size(); ++k) parts[k].push_back(session.output(k));
  }
  return parts;
}

void print_info(const StreamInfo& info) {
  std::fprintf(stderr, "%s; %lld frame%s a call, %lld multiply-accumulates (a whole run: %lld)\n",
               info.is_window ? "outputs over windows" : "outputs over all frames so far",
               static_cast<long long>(info.frames_per_call), info.frames_per_call == 1 ? "" : "s",
               static_cast<long long>(info.macs), static_cast<long long>(info.whole_macs));
  if (!info.whole_from.empty()) {
    std::fprintf(stderr, "over the whole window from %s\n", info.whole_from.c_str());
  }
}

}  // namespace

void add_stream_flags(CLI::App& verb, StreamFlags& flags) {
  verb.add_flag("--stream", flags.stream, "Give the model one frame after another");
  verb.add_option("--frames", flags.options.frames_per_call, "With --stream: frames at a time")
      ->check(CLI::PositiveNumber);
  verb.add_option("--window", flags.options.window,
                  "With --stream: outputs over the last so many frames")
      ->check(CLI::PositiveNumber);
  verb.add_option("--time-axis", flags.options.time_axis,
                  "With --stream: the input's dimension that is time")
      ->check(CLI::PositiveNumber);
}

int predict_stream(const Model& model, StreamFlags flags, const Common& common, const Array& input,
                   const std::vector<std::string>& outputs) {
  flags.options.threads = common.threads;
  Result<StreamSession> session = StreamSession::create(model, flags.options);
  if (!session.ok()) return fail(session.error());
  if (session->output_count() != outputs.size()) {
    return fail({ErrorCode::kInvalidArgument,
                 "--output: the model has " + std::to_string(session->output_count()) +
                     " outputs, found " + std::to_string(outputs.size()) + " file names"});
  }
  const Result<size_t> time = time_axis(*session, input, flags.options.time_axis);
  if (!time.ok()) return fail(time.error());
  if (!common.json) print_info(session->info());
  std::vector<std::vector<Array>> rows(outputs.size());
  for (int64_t row = 0; row < input.shape()[0]; ++row) {
    const std::vector<std::vector<Array>> parts = run_row(*session, input, *time, row);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (parts[k].empty()) {
        return fail({ErrorCode::kInvalidArgument, "--stream: the input's " +
                                                      std::to_string(input.shape()[*time]) +
                                                      " frames are too few for a first output"});
      }
      const int axis = session->output_time_axis(k);
      rows[k].push_back(join(parts[k], axis < 0 ? 0 : static_cast<size_t>(axis)));
    }
  }
  std::vector<Array> joined;
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (rows[k].empty()) {
      return fail({ErrorCode::kInvalidArgument, "--stream: the input has no rows"});
    }
    joined.push_back(join(rows[k], 0));
    if (const auto saved = save_npy(joined.back(), outputs[k]); !saved.ok()) {
      return fail(saved.error());
    }
  }
  if (common.json) std::puts(outputs_json(outputs, joined).c_str());
  return 0;
}

int bench_stream(const Model& model, StreamFlags flags, const Common& common, double batch_ms) {
  using Clock = std::chrono::steady_clock;
  flags.options.threads = common.threads;
  Result<StreamSession> stream = StreamSession::create(model, flags.options);
  if (!stream.ok()) return fail(stream.error());
  const int64_t open_size = std::max<int64_t>(flags.options.window, 1);
  Result<Session> whole =
      Session::create(model, {.threads = common.threads, .open_size = open_size});
  if (!whole.ok()) return fail(whole.error());
  std::mt19937 random(static_cast<uint32_t>(common.seed));
  const auto fill = [&](std::span<uint8_t> bytes, DType dtype) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (size_t k = 0; dtype == DType::kF32 && k + 4 <= bytes.size(); k += 4) {
      const float value = uniform(random);
      std::memcpy(&bytes[k], &value, 4);
    }
    for (uint8_t& byte : bytes.first(dtype == DType::kI8 ? bytes.size() : 0)) {
      byte = static_cast<uint8_t>(random());
    }
  };
  fill(whole->input_bytes(0), whole->input(0).dtype);
  // The least of rounds of calls that each compute `frames_per_call` frames.
  const auto least_us = [&](auto&& call) {
    double least = 1e30;
    const Clock::time_point end =
        Clock::now() + std::chrono::microseconds(static_cast<int64_t>(batch_ms * 1e3));
    for (int i = 0; i < 10 || Clock::now() < end; ++i) {
      const Clock::time_point start = Clock::now();
      call();
      least =
          std::min(least, std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    return least;
  };
  const StreamInfo& info = stream->info();
  const double call_us = least_us([&] {
    for (int64_t i = 0; i < info.frames_per_call; ++i) {
      fill(stream->frame_bytes(), stream->frame().dtype);
      stream->push();
    }
  });
  const double frame_us = call_us / static_cast<double>(info.frames_per_call);
  const double whole_us = least_us([&] { whole->run(); });
  if (common.json) {
    std::printf(
        "{\"frame_us\": %.3f, \"whole_us\": %.3f, \"frames_per_call\": %lld, "
        "\"window\": %s, \"macs\": %lld, \"whole_macs\": %lld}\n",
        frame_us, whole_us, static_cast<long long>(info.frames_per_call),
        info.is_window ? "true" : "false", static_cast<long long>(info.macs),
        static_cast<long long>(info.whole_macs));
    return 0;
  }
  print_info(info);
  std::printf("frame        %.2f us\n", frame_us);
  std::printf("whole run    %.2f us, %.1f times as much\n", whole_us, whole_us / frame_us);
  return 0;
}

}  // namespace ew::cli
