package io.heatkv.json;

/** JSON's null where it is an item of a list, whose place it keeps; it is no text. */
enum JsonNull {
  NULL;

  @Override
  public String toString() {
    return "null";
  }
}
