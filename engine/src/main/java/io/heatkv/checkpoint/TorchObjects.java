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
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

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
    // Protocol 2 spells Python 3's names as Python 2 had them.
    String home = module.equals("__builtin__") ? "builtins" : module;
    String qualified = home + "." + name;
    if (home.equals("torch") || home.equals("torch.cuda")) {
      Optional<StorageType> type = TorchTypes.named(name);
      if (type.isPresent()) {
        return new StorageKind(type.get());
      }
    }
    return switch (qualified) {
      case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2" ->
          Function.REBUILD_TENSOR;
      case "torch._utils._rebuild_tensor_v3" -> Function.REBUILD_TENSOR_OF_TYPE;
      case "torch._utils._rebuild_sparse_tensor",
          "torch._utils._rebuild_qtensor",
          "torch._utils._rebuild_nested_tensor",
          "torch._utils._rebuild_meta_tensor_no_storage",
          "torch._utils._rebuild_wrapper_subclass" ->
          Function.REBUILD_OPAQUE;
      case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state" ->
          Function.REBUILD_PARAMETER;
      case "torch._utils._rebuild_device_tensor_from_cpu_tensor" -> Function.REBUILD_ON_DEVICE;
      case "torch._tensor._rebuild_from_type_v2" -> Function.REBUILD_FROM_TYPE;
      case "collections.OrderedDict", "collections.Counter", "collections.defaultdict" ->
          Function.ORDERED_DICT;
      case "collections.deque", "builtins.set", "builtins.frozenset" -> Function.LIST;
      case "torch.Size" -> Function.SIZE;
      case "torch.storage.UntypedStorage" -> new StorageKind(StorageType.U8);
      case "_codecs.encode",
          "builtins.bytes",
          "builtins.bytearray",
          "builtins.complex",
          "builtins.slice",
          "builtins.range",
          "builtins.xrange",
          "builtins.int",
          "builtins.float",
          "builtins.bool",
          "builtins.str",
          "builtins.unicode",
          "builtins.list",
          "builtins.tuple",
          "builtins.dict",
          "datetime.datetime",
          "datetime.date",
          "datetime.time",
          "datetime.timedelta",
          "datetime.timezone",
          "decimal.Decimal",
          "fractions.Fraction",
          "pathlib.PosixPath",
          "pathlib.PurePosixPath",
          "pathlib.WindowsPath",
          "pathlib.PureWindowsPath",
          "pathlib._local.PosixPath",
          "torch.device",
          "torch.serialization._get_layout" ->
          Function.PLAIN;
      case "builtins.Ellipsis",
          "builtins.NotImplemented",
          "torch.Tensor",
          "torch.nn.parameter.Parameter",
          "torch.nn.parameter.Buffer",
          "torch.per_tensor_affine",
          "torch.per_tensor_symmetric",
          "torch.per_channel_affine",
          "torch.per_channel_symmetric",
          "torch.per_channel_affine_float_qparams" ->
          Scalar.OTHER;
      default ->
          throw Problems.of(
              file,
              "the pickle names "
                  + Problems.quiet(module + "." + name)
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
      case REBUILD_TENSOR_OF_TYPE -> rebuildOfType(args);
      case REBUILD_OPAQUE -> Tensor.opaque(shapeIn(args));
      case REBUILD_PARAMETER, REBUILD_ON_DEVICE -> first(known, args);
      case REBUILD_FROM_TYPE -> fromType(args);
      case ORDERED_DICT -> orderedDict(args);
      case LIST -> new Sequence(false, new ArrayList<>(itemsOf(known, args)));
      case SIZE -> size(args);
      case PLAIN -> Scalar.OTHER;
    };
  }

  /** (tensor, requires_grad, hooks) and perhaps attributes, or (tensor, dtype, device, ...). */
  private Tensor first(Function function, List<PickleValue> args) {
    if (args.size() >= 3 && args.size() <= 4 && args.getFirst() instanceof Tensor tensor) {
      return tensor;
    }
    throw badCall(function);
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

  /**
   * (storage, offset, shape, strides, requires_grad, hooks) and, where the elements are to be
   * conjugated or negated, a note on that; the oldest files end behind the strides.
   */
  private Tensor rebuild(List<PickleValue> args) {
    if (args.size() >= 4
        && args.size() <= 7
        && args.get(0) instanceof Storage storage
        && args.get(1) instanceof Whole offset
        && args.get(2) instanceof Sequence shape
        && args.get(3) instanceof Sequence strides) {
      return args.size() == 7
          ? Tensor.opaque(numbers(shape))
          : new Tensor(storage, offset.value(), numbers(shape), numbers(strides));
    }
    throw badCall(Function.REBUILD_TENSOR);
  }

  /** As above with the dtype of the elements behind the hooks; the storage counts bytes. */
  private Tensor rebuildOfType(List<PickleValue> args) {
    if (args.size() < 7
        || args.size() > 8
        || !(args.get(6) instanceof StorageKind(StorageType type))) {
      throw badCall(Function.REBUILD_TENSOR_OF_TYPE);
    }
    Tensor bytes = rebuild(args.subList(0, 6));
    Storage storage = bytes.storage();
    if (args.size() == 8 || type == StorageType.OPAQUE || storage.type().byteSize() != 1) {
      return Tensor.opaque(bytes.shape());
    }
    long elements = storage.elements() / type.byteSize();
    return new Tensor(
        new Storage(type, storage.key(), elements, 0, elements),
        bytes.offset(),
        bytes.shape(),
        bytes.strides());
  }

  /** The first tuple of integers among arguments, or among those of a tuple in them. */
  private long[] shapeIn(List<PickleValue> args) {
    return args.stream()
        .flatMap(TorchObjects::tuples)
        .flatMap(tuple ->
            Stream.concat(Stream.of(tuple), tuple.items().stream().flatMap(TorchObjects::tuples)))
        .filter(tuple -> tuple.items().stream().allMatch(Whole.class::isInstance))
        .findFirst()
        .map(this::numbers)
        .orElse(new long[0]);
  }

  private static Stream<Sequence> tuples(PickleValue value) {
    return value instanceof Sequence tuple && tuple.frozen() ? Stream.of(tuple) : Stream.empty();
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

  /** Of no arguments, a dict, a factory of defaults or, as Python 2 wrote it, a list of pairs. */
  private Dictionary orderedDict(List<PickleValue> args) {
    Dictionary dictionary = new Dictionary(new ArrayList<>(), new ArrayList<>());
    if (args.isEmpty()) {
      return dictionary;
    }
    if (args.getFirst() instanceof Dictionary given) {
      return given;
    }
    if (args.getFirst() instanceof Function || args.getFirst() == Scalar.NONE) {
      return dictionary;
    }
    for (PickleValue item : itemsOf(Function.ORDERED_DICT, args)) {
      if (!(item instanceof Sequence pair) || pair.items().size() != 2) {
        throw badCall(Function.ORDERED_DICT);
      }
      dictionary.keys().add(pair.items().getFirst());
      dictionary.values().add(pair.items().getLast());
    }
    return dictionary;
  }

  /** The items of a list or tuple that is the first argument; none if there is no argument. */
  private List<PickleValue> itemsOf(Function function, List<PickleValue> args) {
    if (args.isEmpty()) {
      return List.of();
    }
    if (args.getFirst() instanceof Sequence items && args.size() <= 2) {
      return items.items();
    }
    throw badCall(function);
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
