package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Dictionary;
import io.heatkv.checkpoint.PickleValue.Function;
import io.heatkv.checkpoint.PickleValue.Scalar;
import io.heatkv.checkpoint.PickleValue.Sequence;
import io.heatkv.checkpoint.PickleValue.Storage;
import io.heatkv.checkpoint.PickleValue.StorageKind;
import io.heatkv.checkpoint.PickleValue.Tensor;
import io.heatkv.checkpoint.PickleValue.Text;
import io.heatkv.checkpoint.PickleValue.Whole;
import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The names that a tensor checkpoint may use, what they stand for, and the storages it spoke of.
 * The forms are those of {@code torch._utils} and {@code torch.serialization}.
 */
final class TorchObjects {
  private static final int MOST_DIMENSIONS = 64;

  private final Path file;
  private final Map<String, Storage> storages = new TreeMap<>();

  TorchObjects(Path file) {
    this.file = file;
  }

  /** Every storage named so far, whole, by key. */
  Map<String, Storage> storages() {
    return Collections.unmodifiableMap(storages);
  }

  /**
   * What a name stands for.
   *
   * @throws UserException naming it, if it isn't one that tensors need
   */
  PickleValue global(String module, String name) {
    String qualified = module + "." + name;
    return switch (qualified) {
      case "torch._utils._rebuild_tensor_v2" -> Function.REBUILD_TENSOR;
      case "torch._utils._rebuild_parameter" -> Function.REBUILD_PARAMETER;
      case "torch._tensor._rebuild_from_type_v2" -> Function.REBUILD_FROM_TYPE;
      case "collections.OrderedDict" -> Function.ORDERED_DICT;
      case "torch.Size" -> Function.SIZE;
      case "torch.device" -> Function.DEVICE;
      case "torch.DoubleStorage" -> new StorageKind(StorageType.F64);
      case "torch.FloatStorage" -> new StorageKind(StorageType.F32);
      case "torch.HalfStorage" -> new StorageKind(StorageType.F16);
      case "torch.BFloat16Storage" -> new StorageKind(StorageType.BF16);
      case "torch.LongStorage" -> new StorageKind(StorageType.I64);
      case "torch.IntStorage" -> new StorageKind(StorageType.I32);
      case "torch.ShortStorage" -> new StorageKind(StorageType.I16);
      case "torch.CharStorage" -> new StorageKind(StorageType.I8);
      case "torch.ByteStorage", "torch.storage.UntypedStorage" -> new StorageKind(StorageType.U8);
      case "torch.BoolStorage" -> new StorageKind(StorageType.BOOL);
      case "torch.Tensor",
          "torch.nn.parameter.Parameter",
          "torch.float64",
          "torch.float32",
          "torch.float16",
          "torch.bfloat16",
          "torch.int64",
          "torch.int32",
          "torch.int16",
          "torch.int8",
          "torch.uint8",
          "torch.bool" ->
          Scalar.OTHER;
      default ->
          throw Problems.of(
              file,
              "the pickle names "
                  + Problems.quiet(qualified)
                  + "; refused, since no tensor needs it, and nothing was run; expected tensors and"
                  + " plain values: save the state_dict alone, or distrust the file");
    };
  }

  /** The value that a function of {@link #global} gives for a tuple of arguments. */
  PickleValue call(PickleValue function, PickleValue arguments) {
    if (!(function instanceof Function known)
        || !(arguments instanceof Sequence sequence)
        || !sequence.frozen()) {
      throw damaged("calls something that is no function of tensors");
    }
    List<PickleValue> args = sequence.items();
    return switch (known) {
      case REBUILD_TENSOR -> rebuild(args);
      case REBUILD_PARAMETER -> parameter(args);
      case REBUILD_FROM_TYPE -> fromType(args);
      case ORDERED_DICT -> orderedDict(args);
      case SIZE -> size(args);
      case DEVICE -> Scalar.OTHER;
    };
  }

  /** (tensor, requires_grad, hooks). */
  private Tensor parameter(List<PickleValue> args) {
    if (args.size() == 3 && args.getFirst() instanceof Tensor tensor) {
      return tensor;
    }
    throw badCall(Function.REBUILD_PARAMETER);
  }

  /** (function, class, its arguments, attributes); the class changes nothing about the elements. */
  private PickleValue fromType(List<PickleValue> args) {
    if (args.size() == 4
        && args.getFirst() instanceof Function inner
        && inner != Function.REBUILD_FROM_TYPE) {
      return call(inner, args.get(2));
    }
    throw badCall(Function.REBUILD_FROM_TYPE);
  }

  private Sequence size(List<PickleValue> args) {
    if (args.size() == 1 && args.getFirst() instanceof Sequence dimensions) {
      return dimensions;
    }
    throw badCall(Function.SIZE);
  }

  /** (storage, offset, shape, strides, requires_grad, hooks). */
  private Tensor rebuild(List<PickleValue> args) {
    if (args.size() == 6
        && args.get(0) instanceof Storage storage
        && args.get(1) instanceof Whole offset
        && args.get(2) instanceof Sequence shape
        && args.get(3) instanceof Sequence strides) {
      return new Tensor(storage, offset.value(), numbers(shape), numbers(strides));
    }
    throw badCall(Function.REBUILD_TENSOR);
  }

  private long[] numbers(Sequence sequence) {
    List<PickleValue> items = sequence.items();
    if (items.size() > MOST_DIMENSIONS) {
      throw damaged("has a tensor of " + items.size() + " dimensions");
    }
    long[] numbers = new long[items.size()];
    for (int i = 0; i < numbers.length; i++) {
      if (!(items.get(i) instanceof Whole whole)) {
        throw damaged("has a tensor whose shape or strides are no integers");
      }
      numbers[i] = whole.value();
    }
    return numbers;
  }

  /** Empty, or as Python 2 wrote it, with one list of pairs. */
  private Dictionary orderedDict(List<PickleValue> args) {
    Dictionary dictionary = new Dictionary(new ArrayList<>(), new ArrayList<>());
    if (args.isEmpty()) {
      return dictionary;
    }
    if (args.size() != 1 || !(args.getFirst() instanceof Sequence pairs)) {
      throw badCall(Function.ORDERED_DICT);
    }
    for (PickleValue item : pairs.items()) {
      if (!(item instanceof Sequence pair) || pair.items().size() != 2) {
        throw badCall(Function.ORDERED_DICT);
      }
      dictionary.keys().add(pair.items().getFirst());
      dictionary.values().add(pair.items().getLast());
    }
    return dictionary;
  }

  /**
   * The storage of a persistent id: ('storage', kind, key, location, elements), in the older layout
   * followed by None or (key, first, length) of a piece.
   */
  Storage storage(PickleValue id) {
    if (id instanceof Sequence sequence
        && sequence.items().size() >= 5
        && sequence.items().size() <= 6
        && sequence.items().get(0) instanceof Text(String tag)
        && tag.equals("storage")
        && sequence.items().get(1) instanceof StorageKind(StorageType type)
        && sequence.items().get(2) instanceof Text(String key)
        && sequence.items().get(4) instanceof Whole(long elements)) {
      if (elements < 0 || elements > Long.MAX_VALUE / Long.BYTES) {
        throw damaged("has the storage " + Problems.quote(key) + " of " + elements + " elements");
      }
      Storage whole = new Storage(type, key, elements, 0, elements);
      Storage known = storages.putIfAbsent(key, whole);
      if (known != null && !known.equals(whole)) {
        throw damaged("describes the storage " + Problems.quote(key) + " in two ways");
      }
      return sequence.items().size() == 6 ? piece(whole, sequence.items().get(5)) : whole;
    }
    throw damaged("refers to something that is no storage of tensors");
  }

  private Storage piece(Storage whole, PickleValue view) {
    if (view == Scalar.NONE) {
      return whole;
    }
    if (view instanceof Sequence sequence
        && sequence.items().size() == 3
        && sequence.items().get(1) instanceof Whole(long first)
        && sequence.items().get(2) instanceof Whole(long length)
        && first >= 0
        && length >= 0
        && first <= whole.elements()
        && length <= whole.elements() - first) {
      return new Storage(whole.type(), whole.key(), whole.elements(), first, length);
    }
    throw damaged("has a piece that lies outside its storage " + Problems.quote(whole.key()));
  }

  private UserException badCall(Function function) {
    return damaged("calls " + function + " with arguments that it does not take");
  }

  private UserException damaged(String text) {
    return Problems.damaged(file, "the pickle " + text);
  }
}
