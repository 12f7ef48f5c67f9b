package io.heatkv.checkpoint;

import static io.heatkv.checkpoint.TestFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The numbers here were read out of the golden files with numpy. */
class GoldenCheckpointTest {
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble F64 =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  @Test
  void readsFloat32() {
    try (Checkpoint checkpoint = Safetensors.open(golden("full_1.0.safetensors"))) {
      assertThat(checkpoint.names()).hasSize(53).contains("x_in.0", "codes_final");
      TensorEntry logits = checkpoint.entry("logits_cfg.6");
      assertThat(logits.dtype()).isEqualTo(StorageType.F32);
      assertThat(logits.shape()).containsExactly(1, 256, 32);
      assertThat(logits.elements()).isEqualTo(8192);
      assertThat(logits.bytes().get(F32, 4 * (100 * 32 + 17))).isEqualTo(-0x1.85164p+2f);
      double sum = 0;
      for (long i = 0; i < logits.elements(); i++) {
        sum += logits.bytes().get(F32, 4 * i);
      }
      assertThat(sum).isCloseTo(-5039.556945592165, within(1e-9));
    }
  }

  @Test
  void readsBytes() {
    try (Checkpoint checkpoint = Safetensors.open(golden("full_1.0.safetensors"))) {
      TensorEntry bits = checkpoint.entry("bits.6");
      assertThat(bits.dtype()).isEqualTo(StorageType.U8);
      assertThat(bits.shape()).containsExactly(1, 256, 16);
      byte[] all = bits.bytes().toArray(ValueLayout.JAVA_BYTE);
      int ones = 0;
      for (byte bit : all) {
        ones += bit;
      }
      assertThat(ones).isEqualTo(2097);
    }
  }

  @Test
  void readsFloat64() {
    try (Checkpoint checkpoint = Safetensors.open(golden("scas_1.0.safetensors"))) {
      MemorySegment scores = checkpoint.entry("scores").bytes();
      assertThat(checkpoint.entry("scores").shape()).containsExactly(4, 4, 7);
      assertThat(scores.get(F64, 8 * ((2 * 4 + 1) * 7 + 3))).isEqualTo(0.14629906664292017);
      assertThat(scores.get(F64, 8 * ((3 * 4 + 3) * 7 + 5))).isEqualTo(0.1274474635720253);
      assertThat(scores.get(F64, 0)).isNaN();
    }
  }

  @Test
  void readsInt64() {
    try (Checkpoint vae = Safetensors.open(golden("tiny_vae.safetensors"));
        Checkpoint t5 = Safetensors.open(golden("tiny_t5_io.safetensors"))) {
      assertThat(vae.names()).hasSize(265);
      MemorySegment mask = vae.entry("quantizer.lfq.mask").bytes();
      for (int i = 0; i < 16; i++) {
        assertThat(mask.get(I64, 8L * i)).isEqualTo(1L << (15 - i));
      }
      MemorySegment ids = t5.entry("input_ids").bytes();
      assertThat(List.of(ids.get(I64, 0), ids.get(I64, 8), ids.get(I64, 16), ids.get(I64, 24)))
          .containsExactly(319L, 36L, 241L, 148L);
    }
  }

  @Test
  void readsShardsOfBfloat16() {
    try (Checkpoint model = Shards.open(golden("tiny_infinity.safetensors.index.json"))) {
      assertThat(model.names()).hasSize(106).contains("word_embed.weight");
      assertThat(List.copyOf(model.names())).isSorted();
      assertThat(model.names().stream().mapToLong(n -> model.entry(n).bytes().byteSize()).sum())
          .isEqualTo(10_188_896);
      assertThat(model.entry("block_chunks.0.module.0.ca.mat_kv.weight").shape())
          .containsExactly(512, 256);
      TensorEntry embed = model.entry("word_embed.weight");
      assertThat(embed.dtype()).isEqualTo(StorageType.BF16);
      assertThat(bfloat16(embed, 0)).isEqualTo(-0.1640625f);
      assertThat(bfloat16(embed, 128 * 16 + 7)).isEqualTo(0.578125f);
      assertThat(bfloat16(model.entry("block_chunks.1.module.0.ada_gss"), 0)).isEqualTo(0.7109375f);
    }
  }

  @Test
  void fingerprintsAreThoseComputedElsewhere() {
    try (Checkpoint t5 = Safetensors.open(golden("tiny_t5.safetensors"));
        Checkpoint model = Checkpoints.open(golden("tiny_infinity.safetensors.index.json"));
        Checkpoint unit = Safetensors.open(golden("unit.safetensors"))) {
      assertThat(Fingerprint.of(t5))
          .isEqualTo("f152015c5f0e5a00dc62a63178b70529810aad15bc0425c59bd5a81d0bb96623");
      assertThat(Fingerprint.of(model))
          .isEqualTo("c3fa0a5c7b6ed20409d56c88901b418d373b09eb6374b42697085cbf43673c95");
      assertThat(Fingerprint.of(unit))
          .isEqualTo("153117a9daed03aa7e0fa535ca6f5e610a0c29f4b1bd6a98579b497664b6d077");
    }
  }

  @Test
  void fingerprintIgnoresShardingAndSeesTheEnds(@TempDir Path folder) {
    Path single = folder.resolve("model.safetensors");
    try (Checkpoint model = Checkpoints.open(golden("tiny_infinity.safetensors.index.json"))) {
      List<SafetensorsWriter.Item> items =
          model.names().stream().map(n -> SafetensorsWriter.Item.of(model.entry(n))).toList();
      SafetensorsWriter.write(single, items, Map.of("origin", "merged"));
      try (Checkpoint merged = Checkpoints.open(folder)) {
        assertThat(Fingerprint.of(merged)).isEqualTo(Fingerprint.of(model));
        assertThat(merged.metadata()).containsExactly(Map.entry("origin", "merged"));
      }
    }
    byte[] bytes = readAll(single);
    bytes[bytes.length - 1] ^= 1;
    TestFiles.write(folder.resolve("other.safetensors"), bytes);
    try (Checkpoint merged = Checkpoints.open(single);
        Checkpoint other = Checkpoints.open(folder.resolve("other.safetensors"))) {
      assertThat(Fingerprint.of(other)).isNotEqualTo(Fingerprint.of(merged));
    }
  }

  @Test
  void theMappingIsReadOnlyAndEndsWithTheCheckpoint() {
    MemorySegment kept;
    try (Checkpoint checkpoint = Safetensors.open(golden("tiny_text.safetensors"))) {
      kept = checkpoint.entry("text_features.0").bytes();
      assertThat(kept.get(F32, 0)).isEqualTo(2.84375f);
      assertThat(kept.isMapped()).isTrue();
      assertThatThrownBy(() -> kept.set(F32, 0, 1f)).isInstanceOf(IllegalArgumentException.class);
      checkpoint.close();
    }
    assertThatThrownBy(() -> kept.get(F32, 0)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void closingAShardedCheckpointReleasesEveryShard() {
    List<MemorySegment> kept;
    try (Checkpoint model = Checkpoints.open(golden("tiny_infinity.safetensors.index.json"))) {
      kept = model.names().stream().map(n -> model.entry(n).bytes()).toList();
    }
    assertThat(kept).noneMatch(bytes -> bytes.scope().isAlive());
  }

  private static float bfloat16(TensorEntry entry, long index) {
    return Float.intBitsToFloat(entry.bytes().get(I16, 2 * index) << 16);
  }

  private static byte[] readAll(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
