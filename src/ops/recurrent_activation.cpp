// The activations that recurrent operators compute natively.
#include <algorithm>
#include <cmath>

#include "ops/recurrent.h"

namespace ew::ops {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double sigmoid_slope(double x) { return sigmoid(x) * (1 - sigmoid(x)); }
double tanh_slope(double x) { return 1 - std::tanh(x) * std::tanh(x); }

double hard_sigmoid(double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); }
double hard_sigmoid_slope(double x) { return x > -3 && x < 3 ? 1.0 / 6 : 0; }
double hard_sigmoid_k2(double x) { return std::clamp(0.2 * x + 0.5, 0.0, 1.0); }
double hard_sigmoid_k2_slope(double x) { return x > -2.5 && x < 2.5 ? 0.2 : 0; }

double elu(double x) { return x > 0 ? x : std::expm1(x); }
double elu_slope(double x) { return x > 0 ? 1 : std::exp(x); }
constexpr double kSeluScale = 1.0507009873554805;
constexpr double kSeluAlpha = 1.7580993408473766;  // scale times alpha
double selu(double x) { return x > 0 ? kSeluScale * x : kSeluAlpha * std::expm1(x); }
double selu_slope(double x) { return x > 0 ? kSeluScale : kSeluAlpha * std::exp(x); }

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double softsign(double x) { return x / (1 + std::abs(x)); }
double softsign_slope(double x) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }

double gelu(double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); }
double gelu_slope(double x) {
  return 0.5 * std::erfc(-x * M_SQRT1_2) + x * 0.3989422804014327 * std::exp(-0.5 * x * x);
}
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

constexpr RecurrentActivation kActivations[] = {
    {"tanh", [](double x) { return std::tanh(x); }, tanh_slope},
    {"sigmoid", sigmoid, sigmoid_slope},
    {"linear", [](double x) { return x; }, [](double) { return 1.0; }},
    {"relu", [](double x) { return std::max(x, 0.0); }, [](double x) { return x > 0 ? 1.0 : 0.0; }},
    {"relu6", [](double x) { return std::clamp(x, 0.0, 6.0); },
     [](double x) { return x > 0 && x < 6 ? 1.0 : 0.0; }},
    {"hard_sigmoid", hard_sigmoid, hard_sigmoid_slope},
    {"hard_sigmoid_k2", hard_sigmoid_k2, hard_sigmoid_k2_slope},
    {"softsign", softsign, softsign_slope},
    {"softplus", softplus, sigmoid},
    {"elu", elu, elu_slope},
    {"selu", selu, selu_slope},
    {"exponential", [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }},
    {"gelu", gelu, gelu_slope},
    {"silu", silu, silu_slope},
};

}  // namespace

std::span<const RecurrentActivation> recurrent_activations() { return kActivations; }

const RecurrentActivation* find_recurrent_activation(std::string_view name) {
  for (const RecurrentActivation& activation : kActivations) {
    if (name == activation.name) return &activation;
  }
  return nullptr;
}

}  // namespace ew::ops
