package io.heatkv.eval.learned;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import io.heatkv.error.UserException;
import io.heatkv.resource.JniLibrary;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** An ONNX file whose inputs and one output were checked, by ONNX Runtime on the CPU. */
final class OnnxModel implements AutoCloseable {
  private static final String HELP = "; see docs/metrics.md";

  private static final JniLibrary NATIVES =
      new JniLibrary(
          "onnxruntime",
          "onnxruntime.native.path",
          "",
          OrtEnvironment.class,
          "ai/onnxruntime/native/%s-%s".formatted(JniLibrary.system(), JniLibrary.processor("x64")),
          Stream.of("onnxruntime", "onnxruntime4j_jni").map(System::mapLibraryName).toList());

  /**
   * What a network reads.
   *
   * @param required inputs that it must have
   * @param optional inputs that it may have
   * @param output that it must have, perhaps beside others
   */
  record Contract(List<Port> required, List<Port> optional, Port output) {}

  private final Path file;
  private final OrtSession session;
  private final String output;
  private final Map<String, long[]> inputs = new HashMap<>();

  private OnnxModel(Path file, OrtSession session, Contract contract) throws OrtException {
    this.file = file;
    this.session = session;
    this.output = contract.output().name();
    Map<String, NodeInfo> given = session.getInputInfo();
    Set<String> extra = new TreeSet<>(given.keySet());
    for (Port port : contract.required()) {
      check("input", port, given);
      extra.remove(port.name());
    }
    for (Port port : contract.optional()) {
      if (extra.remove(port.name())) {
        check("input", port, given);
      }
    }
    if (!extra.isEmpty()) {
      throw new UserException(
          file + ": has an input " + extra.iterator().next() + " that no metric fills" + HELP);
    }
    check("output", contract.output(), session.getOutputInfo());
    given.forEach((name, node) -> inputs.put(name, ((TensorInfo) node.getInfo()).getShape()));
  }

  /**
   * Loads and checks a file.
   *
   * @throws UserException if it is missing, damaged, or doesn't keep the contract
   */
  static OnnxModel open(LearnedMetric metric, Path file, Contract contract) {
    if (!Files.isRegularFile(file)) {
      throw new UserException(
          file + ": no such file; expected the ONNX model of " + metric.label() + HELP);
    }
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      // Its threads would spin while the engine's draw.
      options.addConfigEntry("session.intra_op.allow_spinning", "0");
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      OrtSession session = environment().createSession(file.toString(), options);
      try {
        return new OnnxModel(file, session, contract);
      } catch (RuntimeException e) {
        session.close();
        throw e;
      }
    } catch (OrtException e) {
      throw new UserException(
          file + ": is no ONNX model that can be run (" + firstLine(e) + ")" + HELP, e);
    }
  }

  /**
   * Loads the native code of ONNX Runtime, unless that was done.
   *
   * @return the folder of its files
   * @throws UserException if it can't be unpacked or loaded
   */
  static Path loadNatives() {
    return NATIVES.load(
        () -> OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL));
  }

  private static OrtEnvironment environment() {
    loadNatives();
    return OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
  }

  private void check(String kind, Port port, Map<String, NodeInfo> given) {
    NodeInfo node = given.get(port.name());
    if (node == null) {
      throw new UserException(
          "%s: has no %s %s, only %s; expected %s%s"
              .formatted(
                  file,
                  kind,
                  port.name(),
                  String.join(", ", new TreeSet<>(given.keySet())),
                  port,
                  HELP));
    }
    if (!(node.getInfo() instanceof TensorInfo tensor)) {
      throw new UserException(
          "%s: %s %s is no tensor; expected %s%s".formatted(file, kind, port.name(), port, HELP));
    }
    if (!port.accepts(tensor)) {
      throw new UserException(
          "%s: %s %s is %s; expected %s, or ? for sizes%s"
              .formatted(file, kind, port.name(), Port.describe(tensor), port, HELP));
    }
  }

  /** Sizes of an input as the file tells them, if it has that input. */
  Optional<long[]> input(String name) {
    return Optional.ofNullable(inputs.get(name)).map(long[]::clone);
  }

  /**
   * Runs the network.
   *
   * @param images planes of each image input
   * @param shape of the images
   * @param texts elements of each text input, which are [1, tokens]
   * @return all elements of the output
   * @throws UserException if the network fails, or gives what is no finite number
   */
  float[] run(Map<String, float[]> images, long[] shape, Map<String, long[]> texts) {
    Map<String, OnnxTensor> tensors = new HashMap<>();
    try {
      for (Map.Entry<String, float[]> image : images.entrySet()) {
        tensors.put(
            image.getKey(),
            OnnxTensor.createTensor(environment(), FloatBuffer.wrap(image.getValue()), shape));
      }
      for (Map.Entry<String, long[]> text : texts.entrySet()) {
        long[] ids = text.getValue();
        tensors.put(
            text.getKey(),
            OnnxTensor.createTensor(
                environment(), LongBuffer.wrap(ids), new long[] {1, ids.length}));
      }
      try (OrtSession.Result result = session.run(tensors, Set.of(output))) {
        FloatBuffer values = ((OnnxTensor) result.get(0)).getFloatBuffer();
        float[] elements = new float[values.remaining()];
        values.get(elements);
        for (float element : elements) {
          if (!Float.isFinite(element)) {
            throw new UserException(
                file + ": gives " + element + " for a picture; expected a finite number" + HELP);
          }
        }
        return elements;
      }
    } catch (OrtException e) {
      throw new UserException(file + ": fails on a picture (" + firstLine(e) + ")" + HELP, e);
    } finally {
      tensors.values().forEach(OnnxTensor::close);
    }
  }

  /**
   * Runs the network for one number.
   *
   * @throws UserException if it gives more numbers, or none
   */
  double score(Map<String, float[]> images, long[] shape, Map<String, long[]> texts) {
    float[] score = run(images, shape, texts);
    if (score.length != 1) {
      throw new UserException(
          "%s: gives %d scores for one picture; expected 1%s".formatted(file, score.length, HELP));
    }
    return score[0];
  }

  private static String firstLine(OrtException e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }
}
