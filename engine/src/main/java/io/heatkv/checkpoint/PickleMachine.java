package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Dictionary;
import io.heatkv.checkpoint.PickleValue.Scalar;
import io.heatkv.checkpoint.PickleValue.Sequence;
import io.heatkv.checkpoint.PickleValue.Text;
import io.heatkv.checkpoint.PickleValue.Whole;
import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads a pickle (protocols 2 to 5) as data. It knows the opcodes that tensors, containers and
 * plain values need; a name outside {@link TorchObjects} ends the reading at once, and nothing that
 * a pickle says is ever run. Memory is bounded by the bytes read and the steps allowed.
 */
final class PickleMachine {
  /** Real checkpoints need about 150 bytes and 35 steps a tensor. */
  private static final long LONGEST = 1L << 26;

  private static final int MOST_STEPS = 2_000_000;
  private static final int LONGEST_NAME = 256;

  private final Path file;
  private final Cursor in;
  private final TorchObjects torch;
  private final List<PickleValue> stack = new ArrayList<>();
  private final Map<Integer, PickleValue> memo = new HashMap<>();

  private PickleMachine(Path file, Cursor in, TorchObjects torch) {
    this.file = file;
    this.in = in;
    this.torch = torch;
  }

  /**
   * Reads one pickle and leaves {@code in} behind it.
   *
   * @throws UserException if it is damaged, too large, or holds anything but tensors and data
   */
  static PickleValue read(Path file, Cursor in, TorchObjects torch) {
    return new PickleMachine(file, in, torch).run();
  }

  private PickleValue run() {
    long start = in.position();
    for (int step = 0; step < MOST_STEPS; step++) {
      int opcode = in.u8();
      if (opcode == '.') {
        PickleValue result = pop();
        if (!stack.isEmpty()) {
          throw damaged("ends with " + stack.size() + " values left over");
        }
        return result;
      }
      execute(opcode);
      if (in.position() - start > LONGEST) {
        throw damaged("is longer than " + LONGEST + " bytes, more than any checkpoint needs");
      }
    }
    throw damaged("takes more than " + MOST_STEPS + " steps, more than any checkpoint needs");
  }

  private void execute(int opcode) {
    switch (opcode) {
      case 0x80 -> protocol();
      case 0x95 -> checkFrame();
      case '(' -> stack.add(Scalar.MARK);
      case 'N' -> stack.add(Scalar.NONE);
      case 0x88 -> stack.add(Scalar.TRUE);
      case 0x89 -> stack.add(Scalar.FALSE);
      case 'J' -> stack.add(new Whole(in.i32()));
      case 'K' -> stack.add(new Whole(in.u8()));
      case 'M' -> stack.add(new Whole(in.u16()));
      case 0x8a -> stack.add(integer(in.u8()));
      case 0x8b -> stack.add(integer(in.i32()));
      case 'G' -> skip(Double.BYTES);
      case 'X' -> stack.add(new Text(in.pythonText(in.u32())));
      case 0x8c, 'U' -> stack.add(new Text(in.pythonText(in.u8())));
      case 0x8d -> stack.add(new Text(in.pythonText(in.size())));
      case 'T' -> stack.add(new Text(in.pythonText(in.i32())));
      case 'B' -> skip(in.u32());
      case 'C' -> skip(in.u8());
      case 0x8e, 0x96 -> skip(in.size());
      case ')' -> stack.add(new Sequence(true, List.of()));
      case 't', 0x91 -> stack.add(new Sequence(true, popToMark()));
      case 0x85 -> stack.add(new Sequence(true, popMany(1)));
      case 0x86 -> stack.add(new Sequence(true, popMany(2)));
      case 0x87 -> stack.add(new Sequence(true, popMany(3)));
      case ']', 0x8f -> stack.add(new Sequence(false, new ArrayList<>()));
      case 'a' -> append(popMany(1));
      case 'e', 0x90 -> append(popToMark());
      case '}' -> stack.add(new Dictionary(new ArrayList<>(), new ArrayList<>()));
      case 's' -> put(popMany(2));
      case 'u' -> put(popToMark());
      case 'q' -> memo.put(in.u8(), peek());
      case 'r' -> memo.put(in.i32(), peek());
      case 0x94 -> memo.put(memo.size(), peek());
      case 'h' -> recall(in.u8());
      case 'j' -> recall(in.i32());
      case 'c' -> global(in.line(LONGEST_NAME), in.line(LONGEST_NAME));
      case 0x93 -> stackGlobal();
      case 'i' -> {
        global(in.line(LONGEST_NAME), in.line(LONGEST_NAME));
        throw damaged("builds an object of a class (opcode INST), which no checkpoint needs");
      }
      case 'R' -> {
        List<PickleValue> call = popMany(2);
        stack.add(torch.call(call.getFirst(), call.getLast()));
      }
      case 'Q' -> stack.add(torch.storage(pop()));
      case 'b' -> build();
      default ->
          throw damaged(
              String.format(
                  "has the opcode 0x%02x at byte %d, which no checkpoint needs",
                  opcode, in.position() - 1));
    }
  }

  private void protocol() {
    int version = in.u8();
    if (version < 2 || version > 5) {
      throw damaged("has protocol " + version + "; expected 2 to 5");
    }
  }

  private void checkFrame() {
    long length = in.size();
    if (length > in.remaining()) {
      throw damaged(
          "declares a frame of " + length + " bytes, but only " + in.remaining() + " follow");
    }
  }

  /** A two's complement number of that many bytes. */
  private PickleValue integer(int length) {
    if (length < 0 || length > Long.BYTES) {
      in.take(length);
      return Scalar.OTHER;
    }
    long value = 0;
    for (int i = 0; i < length; i++) {
      value |= (long) in.u8() << (8 * i);
    }
    int unused = Long.SIZE - 8 * length;
    return new Whole(length == 0 ? 0 : value << unused >> unused);
  }

  private void skip(long length) {
    in.take(length);
    stack.add(Scalar.OTHER);
  }

  private void append(List<PickleValue> items) {
    if (!(peek() instanceof Sequence sequence) || sequence.frozen()) {
      throw damaged("appends to something that is no list");
    }
    sequence.items().addAll(items);
  }

  private void put(List<PickleValue> pairs) {
    if (!(peek() instanceof Dictionary dictionary) || pairs.size() % 2 != 0) {
      throw damaged("sets items of something that is no dict");
    }
    for (int i = 0; i < pairs.size(); i += 2) {
      dictionary.keys().add(pairs.get(i));
      dictionary.values().add(pairs.get(i + 1));
    }
  }

  private void recall(int index) {
    PickleValue value = memo.get(index);
    if (value == null) {
      throw damaged("recalls " + Integer.toUnsignedString(index) + ", which it never stored");
    }
    stack.add(value);
  }

  private void global(String module, String name) {
    stack.add(torch.global(module, name));
  }

  private void stackGlobal() {
    List<PickleValue> names = popMany(2);
    if (names.getFirst() instanceof Text module && names.getLast() instanceof Text name) {
      global(module.text(), name.text());
    } else {
      throw damaged("names a global by something that is no text; refused");
    }
  }

  /** State of a state dict (its {@code _metadata}) tells nothing about tensors. */
  private void build() {
    pop();
    if (!(peek() instanceof Dictionary)) {
      throw damaged("sets the state of something that is no dict");
    }
  }

  private PickleValue peek() {
    if (stack.isEmpty() || stack.getLast() == Scalar.MARK) {
      throw damaged("takes more values than it put down");
    }
    return stack.getLast();
  }

  private PickleValue pop() {
    PickleValue value = peek();
    stack.removeLast();
    return value;
  }

  private List<PickleValue> popMany(int count) {
    List<PickleValue> values = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      values.addFirst(pop());
    }
    return values;
  }

  private List<PickleValue> popToMark() {
    int mark = stack.lastIndexOf(Scalar.MARK);
    if (mark < 0) {
      throw damaged("closes a group that it never opened");
    }
    List<PickleValue> values = new ArrayList<>(stack.subList(mark + 1, stack.size()));
    stack.subList(mark, stack.size()).clear();
    return values;
  }

  private UserException damaged(String text) {
    return Problems.damaged(file, "the pickle " + text);
  }
}
