package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Work that several devices share: order, failures, and the same bits on any number of them. */
class DevicePoolTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4,6x6");

  private static final Backend BACKEND = TestDevice.backend();
  private static ModelDescription description;
  private static DevicePool pool;

  @BeforeAll
  static void load() {
    description = ModelSource.find(ModelSource.EMBEDDED);
    pool = DevicePool.load(description, BACKEND, twice(TestDevice.device()), DType.F32);
  }

  @AfterAll
  static void close() {
    pool.close();
    description.close();
  }

  private static List<Device> twice(Device device) {
    return Collections.nCopies(2, device);
  }

  @Test
  void resultsComeInOrderWhateverTheTasksTake() {
    Set<ImageGenerator> seen = ConcurrentHashMap.newKeySet();
    CyclicBarrier both = new CyclicBarrier(2);
    List<Integer> taken = new ArrayList<>();
    // A task waits for another, so that both devices take part; the odd ones end first.
    pool.run(
        20,
        (generator, task, _) -> {
          seen.add(generator);
          try {
            both.await();
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
          Thread.yield();
          return task;
        },
        taken::add);
    assertThat(taken).isEqualTo(IntStream.range(0, 20).boxed().toList());
    assertThat(seen).hasSize(2);
  }

  /** Task 3 fails while task 2 runs: 0 to 2 are taken, and of the others none. */
  @Test
  void aFailureEndsWhatComesAfterIt() {
    CountDownLatch failed = new CountDownLatch(1);
    Set<Integer> begun = ConcurrentHashMap.newKeySet();
    List<Integer> taken = new ArrayList<>();
    assertThatThrownBy(() ->
            pool.run(
                50,
                (_, task, isStopped) -> {
                  begun.add(task);
                  if (task == 3) {
                    failed.countDown();
                    throw new UserException("task 3 is wrong");
                  }
                  if (task == 2) {
                    await(failed);
                    assertThat(isStopped.getAsBoolean()).isFalse();
                  }
                  return task;
                },
                taken::add))
        .isInstanceOf(UserException.class)
        .hasMessage("task 3 is wrong");
    assertThat(taken).containsExactly(0, 1, 2);
    assertThat(begun).doesNotContain(10);
  }

  @Test
  void whoTakesResultsMayEndAll() {
    List<Integer> stopped = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch others = new CountDownLatch(1);
    assertThatThrownBy(() ->
            pool.run(
                50,
                (_, task, isStopped) -> {
                  if (task > 0) {
                    others.countDown();
                  }
                  while (task > 0 && !isStopped.getAsBoolean()) {
                    Thread.onSpinWait();
                  }
                  if (task > 0) {
                    stopped.add(task);
                  }
                  return task;
                },
                _ -> {
                  // Else the first result may end all before another task begins.
                  await(others);
                  throw new IllegalStateException("the disk is full");
                }))
        .hasMessage("the disk is full");
    // All threads have ended: what they said last is there.
    assertThat(stopped).isNotEmpty().allMatch(task -> task < 5);
  }

  @Test
  void noTasksAreDoneAtOnce() {
    pool.run(0, (_, task, _) -> task, _ -> assertThat(true).isFalse());
  }

  @Test
  void aWrongModelFailsOnceAndLeavesNothing() {
    long live = BACKEND.liveTensors();
    assertThatThrownBy(() ->
            DevicePool.load(
                description, BACKEND, List.of(TestDevice.device(), Device.cuda(99)), DType.F32))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("cuda:99");
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void picturesDontDependOnTheNumberOfDevices(int size) {
    long live = BACKEND.liveTensors();
    List<GenerationRequest> passes = passes(pool.first(), "0.5");
    List<byte[]> alone =
        passes.stream().flatMap(pass -> drawn(pool.first(), pass).stream()).toList();
    List<byte[]> shared = new ArrayList<>();
    DevicePool.of(pool.generators().subList(0, size))
        .run(
            passes.size(),
            (generator, task, _) -> drawn(generator, passes.get(task)),
            shared::addAll);
    assertThat(shared).usingElementComparator(java.util.Arrays::compare).isEqualTo(alone);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** Where there are two: every kind of store and of kernel, on both at once. */
  @ParameterizedTest
  @ValueSource(strings = {"full", "heatkv", "heatkv-greedy", "h2o", "int8", "kivi"})
  void everyDeviceDrawsTheSame(String policy) {
    int devices = ((LibTorch) BACKEND).cudaDevices().size();
    assumeTrue(devices >= 2, "needs two CUDA devices");
    List<Device> all = IntStream.range(0, devices).mapToObj(Device::cuda).toList();
    for (DType dtype : List.of(DType.F32, DType.BF16)) {
      try (DevicePool cuda = DevicePool.load(description, BACKEND, all, dtype)) {
        long live = BACKEND.liveTensors();
        // From the last device to the first: none may lean on what another has set up.
        List<List<byte[]>> each = new ArrayList<>();
        for (ImageGenerator generator : cuda.generators().reversed()) {
          each.add(drawn(generator, passes(generator, policy, "0.5").getFirst()));
        }
        List<List<byte[]>> shared = new ArrayList<>();
        cuda.run(
            3 * devices,
            (generator, _, _) -> drawn(generator, passes(generator, policy, "0.5").getFirst()),
            shared::add);
        each.addAll(shared);
        assertThat(each)
            .allSatisfy(pictures ->
                assertThat(pictures)
                    .usingElementComparator(java.util.Arrays::compare)
                    .isEqualTo(each.getFirst()));
        assertThat(BACKEND.liveTensors()).isEqualTo(live);
      }
    }
  }

  private static List<GenerationRequest> passes(ImageGenerator generator, String budget) {
    return passes(generator, "streaming-llm", budget);
  }

  private static List<GenerationRequest> passes(
      ImageGenerator generator, String policy, String budget) {
    ScaleGrids grids = policy.startsWith("heatkv") ? description.grids() : SCALES;
    CachePolicy made = generator.policy(policy, policy.equals("full") ? "1" : budget, grids);
    return IntStream.range(0, 5)
        .mapToObj(i ->
            new GenerationRequest(
                List.of(
                    new PictureRequest("a red apple", i, description.sampling()),
                    new PictureRequest("a green tree", 10 + i, description.sampling())),
                grids,
                made))
        .toList();
  }

  private static List<byte[]> drawn(ImageGenerator generator, GenerationRequest pass) {
    return generator.generate(pass).images().stream()
        .map(picture -> picture.pixels().rgb())
        .toList();
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
