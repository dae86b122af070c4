struct item { int value; };
__attribute__((section("items"))) struct item unused_item = {7};
