// Einsum as matrix products, or as products and sums.
#include <algorithm>
#include <map>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {

namespace {

struct Term {
  ValueId id = kNoValue;
  std::string letters;
};

// One letter per dimension; "..." takes capital-free private letters, counted from the end.
bool expand_ellipsis(Call& c, std::string& letters, int rank) {
  const size_t dots = letters.find("...");
  if (dots == std::string::npos) return static_cast<int>(letters.size()) == rank;
  const int hidden = rank - static_cast<int>(letters.size()) + 3;
  if (hidden < 0 || hidden > 8) return false;
  std::string filler;
  for (int i = 0; i < hidden; ++i) filler += static_cast<char>('0' + (hidden - 1 - i));
  letters.replace(dots, 3, filler);
  (void)c;
  return true;
}

// Brings a term to `order` (a superset of its letters in that order), missing ones as 1.
ValueId aligned(Call& c, const Term& term, const std::string& order) {
  std::vector<int64_t> perm;
  std::vector<int64_t> shape;
  for (const char letter : order) {
    const size_t at = term.letters.find(letter);
    if (at == std::string::npos) {
      shape.push_back(1);
    } else {
      perm.push_back(static_cast<int64_t>(at));
      shape.push_back(c.shape(term.id)[static_cast<int>(at)]);
    }
  }
  return c.reshape(c.transpose(term.id, perm), shape);
}

// A letter twice in one term takes the diagonal.
void take_diagonals(Call& c, Term& term) {
  for (size_t i = 0; i < term.letters.size() && c.ok();) {
    const size_t j = term.letters.find(term.letters[i], i + 1);
    if (j == std::string::npos) {
      ++i;
      continue;
    }
    const Shape s = c.shape(term.id);
    const int64_t n = s[static_cast<int>(i)];
    std::vector<int64_t> perm;
    for (int d = 0; d < s.rank(); ++d) {
      if (d != static_cast<int>(i) && d != static_cast<int>(j)) perm.push_back(d);
    }
    std::vector<int64_t> rest;
    for (const int64_t d : perm) rest.push_back(s[static_cast<int>(d)]);
    perm.insert(perm.begin(), {static_cast<int64_t>(i), static_cast<int64_t>(j)});
    std::vector<int64_t> flat{n * n};
    flat.insert(flat.end(), rest.begin(), rest.end());
    const ValueId rows = c.reshape(c.transpose(term.id, perm), flat);
    const ValueId places = c.mul(c.iota(n), c.scalar(static_cast<double>(n + 1), DType::kI64));
    term.id = c.emit(ops::kGather, {rows, places});
    const char letter = term.letters[i];
    term.letters.erase(j, 1);
    term.letters.erase(i, 1);
    term.letters.insert(term.letters.begin(), letter);
    i = 0;
  }
}

}  // namespace

void read_einsum(Call& c) {
  std::string equation = c.text("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const size_t arrow = equation.find("->");
  const std::vector<std::string> parts = split(equation.substr(0, arrow), ',');
  if (parts.size() != c.count()) {
    c.fail("equation '", equation, "': expected ", c.count(), " terms");
    return;
  }
  std::vector<Term> terms;
  std::map<char, int> seen;
  int most_dots = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    Term t{c.x(i), parts[i]};
    if (!c.need_static(t.id, "the shape")) return;
    if (!expand_ellipsis(c, t.letters, c.rank(t.id))) {
      c.fail("equation '", equation, "': term '", parts[i], "' does not fit ", c.shape(t.id));
      return;
    }
    if (parts[i].find("...") != std::string::npos) {
      most_dots = std::max(most_dots, c.rank(t.id) - static_cast<int>(parts[i].size()) + 3);
    }
    for (const char letter : t.letters) ++seen[letter];
    take_diagonals(c, t);
    terms.push_back(t);
  }
  std::string out;
  if (arrow == std::string::npos) {
    for (int i = most_dots; i-- > 0;) out += static_cast<char>('0' + i);
    for (const auto& [letter, count] : seen) {
      if (count == 1 && (letter < '0' || letter > '9')) out += letter;
    }
  } else {
    out = equation.substr(arrow + 2);
    if (const size_t dots = out.find("..."); dots != std::string::npos) {
      std::string filler;
      for (int i = most_dots; i-- > 0;) filler += static_cast<char>('0' + i);
      out.replace(dots, 3, filler);
    }
  }
  for (const char letter : out) {
    if (!seen.contains(letter) || std::count(out.begin(), out.end(), letter) > 1) {
      c.fail("equation '", equation, "': output '", out, "' does not fit");
      return;
    }
  }
  std::string order = out;
  for (const auto& [letter, count] : seen) {
    if (out.find(letter) == std::string::npos) order += letter;
  }
  if (order.size() > 8) {
    c.unsupported("an equation of more than 8 letters");
    return;
  }
  // Two at a time: all letters aligned, multiplied, then summed over what the output lacks. Two
  // plain matrices are left to the matrix product.
  const bool is_product = terms.size() == 2 && order.size() == out.size() + 1;
  if (is_product && c.ok()) {
    const char k = order.back();
    const bool both = terms[0].letters.find(k) != std::string::npos &&
                      terms[1].letters.find(k) != std::string::npos;
    std::string batch;
    std::string rows;
    std::string columns;
    for (const char letter : out) {
      const bool in_a = terms[0].letters.find(letter) != std::string::npos;
      const bool in_b = terms[1].letters.find(letter) != std::string::npos;
      (in_a && in_b ? batch : in_a ? rows : columns) += letter;
    }
    if (both && rows.size() == 1 && columns.size() == 1 && batch + rows + columns == out) {
      const ValueId a = aligned(c, terms[0], batch + rows + k);
      const ValueId b = aligned(c, terms[1], batch + k + columns);
      return c.set(0, matmul(c, a, b));
    }
  }
  ValueId y = aligned(c, terms[0], order);
  for (size_t i = 1; i < terms.size(); ++i) y = c.mul(y, aligned(c, terms[i], order));
  std::vector<int64_t> axes;
  for (size_t d = out.size(); d < order.size(); ++d) axes.push_back(static_cast<int64_t>(d));
  c.set(0, axes.empty() ? y : c.reduce("sum", y, axes, false));
}

}  // namespace ew::formats::onnx
