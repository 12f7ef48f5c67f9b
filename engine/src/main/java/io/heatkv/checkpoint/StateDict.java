package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Dictionary;
import io.heatkv.checkpoint.PickleValue.Sequence;
import io.heatkv.checkpoint.PickleValue.Tensor;
import io.heatkv.checkpoint.PickleValue.Text;
import io.heatkv.checkpoint.PickleValue.Whole;
import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of what torch.save stored, by name: the keys on the way to them, joined by dots.
 *
 * <p>Containers around the one state dict, as in {@code {'trainer': {'gpt_fsdp': {...}}}}, are
 * dropped from the names; where several dicts hold tensors, all names stay whole, and {@link
 * Checkpoint#under} picks one.
 */
final class StateDict {
  private static final int DEEPEST = 32;
  private static final int MOST_VISITS = 2_000_000;
  private static final int MOST_TENSORS = 100_000;
  private static final int LONGEST_NAME = 1024;

  /** A tensor and the keys on the way to it. */
  private record Found(List<String> path, Tensor tensor) {}

  private final Path file;
  private final List<String> path = new ArrayList<>();
  private final List<Found> found = new ArrayList<>();
  private int visits;
  private int unnameable;
  private boolean passedOver;

  private StateDict(Path file) {
    this.file = file;
  }

  /**
   * Collects the tensors below {@code root}.
   *
   * @throws UserException if there are none, two have one name, or they are nested too deeply
   */
  static SortedMap<String, Tensor> tensors(Path file, PickleValue root) {
    StateDict walk = new StateDict(file);
    walk.visit(root);
    return walk.named();
  }

  private void visit(PickleValue value) {
    // Shared containers are met again on every way to them, so the walk itself needs a bound.
    if (++visits > MOST_VISITS) {
      throw damaged("nests more than " + MOST_VISITS + " values");
    }
    switch (value) {
      case Tensor tensor -> add(tensor);
      case Dictionary dictionary -> {
        for (int i = 0; i < dictionary.keys().size(); i++) {
          descend(key(dictionary.keys().get(i)), dictionary.values().get(i));
        }
      }
      case Sequence sequence -> {
        for (int i = 0; i < sequence.items().size(); i++) {
          descend(Integer.toString(i), sequence.items().get(i));
        }
      }
      default -> {
        // Plain values say nothing about tensors.
      }
    }
  }

  private void descend(@Nullable String key, PickleValue value) {
    if (!(value instanceof Tensor || value instanceof Dictionary || value instanceof Sequence)) {
      return;
    }
    if (path.size() == DEEPEST) {
      throw damaged("nests more than " + DEEPEST + " containers");
    }
    unnameable += key == null ? 1 : 0;
    path.add(key == null ? "" : key);
    visit(value);
    path.removeLast();
    unnameable -= key == null ? 1 : 0;
  }

  private void add(Tensor tensor) {
    if (unnameable > 0) {
      passedOver = true;
      return;
    }
    if (found.size() == MOST_TENSORS) {
      throw damaged("has more than " + MOST_TENSORS + " tensors");
    }
    found.add(new Found(List.copyOf(path), tensor));
  }

  private static @Nullable String key(PickleValue key) {
    return switch (key) {
      case Text(String text) -> text;
      case Whole(long value) -> Long.toString(value);
      default -> null;
    };
  }

  private SortedMap<String, Tensor> named() {
    int wrapping = wrapping();
    SortedMap<String, Tensor> tensors = new TreeMap<>();
    for (Found each : found) {
      List<String> keys = each.path.subList(wrapping, each.path.size());
      if (keys.stream().mapToLong(String::length).sum() > LONGEST_NAME) {
        throw damaged("names a tensor by more than " + LONGEST_NAME + " characters");
      }
      String name = String.join(".", keys);
      if (tensors.put(name, each.tensor) != null) {
        throw damaged("has the tensor " + Problems.quote(name) + " twice");
      }
    }
    return tensors;
  }

  /** The number of outer keys that all tensors share, their own key aside. */
  private int wrapping() {
    if (found.isEmpty() && passedOver) {
      throw damaged("has a tensor under a key that is neither text nor integer, and no other");
    }
    if (found.isEmpty()) {
      throw Problems.of(file, "holds no tensor; expected a state_dict; check the path");
    }
    if (found.getFirst().path.isEmpty()) {
      throw Problems.of(file, "holds one tensor without a name; expected a dict of tensors");
    }
    List<String> first = found.getFirst().path;
    int shared = first.size() - 1;
    for (Found each : found) {
      shared = Math.min(shared, each.path.size() - 1);
      while (!each.path.subList(0, shared).equals(first.subList(0, shared))) {
        shared--;
      }
    }
    return shared;
  }

  private UserException damaged(String text) {
    return Problems.damaged(file, "the pickle " + text);
  }
}
