package io.heatkv.eval.learned;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** Writes small ONNX files: the few messages of onnx.proto3 that they need. */
public final class OnnxBytes {
  public static final int FLOAT = 1;
  public static final int INT64 = 7;
  private static final int IR_VERSION = 8;
  private static final int OPERATORS = 13;

  private final ByteArrayOutputStream graph = new ByteArrayOutputStream();

  /** Adds an input; a size of -1 is free. */
  public OnnxBytes input(String name, int type, long... shape) {
    field(graph, 11, value(name, type, shape));
    return this;
  }

  public OnnxBytes output(String name, int type, long... shape) {
    field(graph, 12, value(name, type, shape));
    return this;
  }

  /** Adds a node; attributes are a Long, or a list of them. */
  public OnnxBytes node(
      String operator, List<String> inputs, String output, Map<String, Object> attributes) {
    ByteArrayOutputStream node = new ByteArrayOutputStream();
    inputs.forEach(input -> field(node, 1, text(input)));
    field(node, 2, text(output));
    field(node, 4, text(operator));
    attributes.forEach((name, value) -> {
      ByteArrayOutputStream attribute = new ByteArrayOutputStream();
      field(attribute, 1, text(name));
      if (value instanceof List<?> list) {
        list.forEach(each -> number(attribute, 8, (Long) each));
        number(attribute, 20, 7);
      } else {
        number(attribute, 3, (Long) value);
        number(attribute, 20, 2);
      }
      field(node, 5, attribute.toByteArray());
    });
    field(graph, 1, node.toByteArray());
    return this;
  }

  public OnnxBytes node(String operator, List<String> inputs, String output) {
    return node(operator, inputs, output, Map.of());
  }

  /** A mean over some axes, which vanish. */
  public OnnxBytes mean(String input, String output, Long... axes) {
    return node(
        "ReduceMean", List.of(input), output, Map.of("axes", List.of(axes), "keepdims", 0L));
  }

  public byte[] bytes() {
    ByteArrayOutputStream whole = new ByteArrayOutputStream();
    field(graph, 2, text("g"));
    number(whole, 1, IR_VERSION);
    field(whole, 7, graph.toByteArray());
    ByteArrayOutputStream operators = new ByteArrayOutputStream();
    number(operators, 2, OPERATORS);
    field(whole, 8, operators.toByteArray());
    return whole.toByteArray();
  }

  private static byte[] value(String name, int type, long... shape) {
    ByteArrayOutputStream dims = new ByteArrayOutputStream();
    for (int i = 0; i < shape.length; i++) {
      ByteArrayOutputStream dim = new ByteArrayOutputStream();
      if (shape[i] < 0) {
        field(dim, 2, text(name + i));
      } else {
        number(dim, 1, shape[i]);
      }
      field(dims, 1, dim.toByteArray());
    }
    ByteArrayOutputStream tensor = new ByteArrayOutputStream();
    number(tensor, 1, type);
    field(tensor, 2, dims.toByteArray());
    ByteArrayOutputStream kind = new ByteArrayOutputStream();
    field(kind, 1, tensor.toByteArray());
    ByteArrayOutputStream value = new ByteArrayOutputStream();
    field(value, 1, text(name));
    field(value, 2, kind.toByteArray());
    return value.toByteArray();
  }

  private static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void field(ByteArrayOutputStream out, int number, byte[] content) {
    varint(out, (long) number << 3 | 2);
    varint(out, content.length);
    out.writeBytes(content);
  }

  private static void number(ByteArrayOutputStream out, int number, long value) {
    varint(out, (long) number << 3);
    varint(out, value);
  }

  private static void varint(ByteArrayOutputStream out, long value) {
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      out.write((int) (rest & 0x7F | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }
}
