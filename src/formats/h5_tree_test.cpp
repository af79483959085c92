#include "formats/h5_tree.h"

#include <doctest/doctest.h>

namespace ew::formats {

TEST_CASE("h5_tree: finds groups, datasets and attributes by path") {
  H5Group root;
  root.set_dataset("a/b/kernel:0", H5Value::scalar(1.0f));
  root.make_group("/a/c/").set_attribute("x", H5Value::string("y"));
  CHECK(root.find_group("") == &root);
  CHECK(root.find_group("/a//b") != nullptr);
  CHECK(root.find_group("a/none") == nullptr);
  CHECK(root.find_dataset("a/b/kernel:0") != nullptr);
  CHECK(root.find_dataset("a/b") == nullptr);
  CHECK(root.find_dataset("") == nullptr);
  CHECK(root.find_group("a/c")->find_attribute("x")->as_string().value() == "y");
}

TEST_CASE("h5_tree: look-up errors say what there is instead") {
  H5Group root;
  root.make_group("a");
  root.make_group("b");
  CHECK(root.group("c").error().message == "expected a group 'c', found a, b");
  CHECK(root.dataset("a/k").error().message == "expected a dataset 'a/k', found nothing");
  CHECK(root.dataset("x/y/k").error().message ==
        "expected a dataset 'x/y/k', found no group above it");
  CHECK(root.attribute("x").error().code == ErrorCode::kNotFound);
  CHECK(root.group("a").ok());
}

TEST_CASE("h5_tree: setting a member again replaces it") {
  H5Group root;
  root.set_dataset("a/k", H5Value::scalar(1.0f));
  root.set_dataset("a/k", H5Value::scalar(2.0f));
  root.set_attribute("x", H5Value::string("1"));
  root.set_attribute("x", H5Value::string("2"));
  CHECK(root.groups.front().datasets.size() == 1);
  CHECK(root.dataset("a/k").value()->value.as_doubles().value() == std::vector<double>{2});
  CHECK(root.attributes.size() == 1);
}

TEST_CASE("h5_tree: values are read as what they are, or the error says what they are") {
  const std::vector<int32_t> ints = {1, 2, 3};
  const H5Value numbers = H5Value::array<int32_t>(ints);
  CHECK(numbers.as_ints().value() == std::vector<int64_t>{1, 2, 3});
  CHECK(numbers.as_doubles().value() == std::vector<double>{1, 2, 3});
  CHECK(numbers.as_string().error().message == "expected a string, found int32 (3,)");
  CHECK_FALSE(numbers.as_string_list().ok());
  CHECK_FALSE(H5Value::scalar(1.5).as_ints().ok());
  CHECK(H5Value::string("x").as_string_list().value() == std::vector<std::string>{"x"});
  CHECK(H5Value::string_list({"x", "y"}).as_string().error().message ==
        "expected a string, found strings (2,)");
  CHECK_FALSE(H5Value::string("x").as_doubles().ok());
  const H5Value empty = H5Value::string_list({});
  CHECK(empty.describe() == "float64 (0,)");
  CHECK(empty.as_string_list().value().empty());
}

}  // namespace ew::formats
