package io.heatkv.bench;

import io.heatkv.vae.VaeConfig;
import java.util.Map;
import java.util.TreeMap;

/** Names and shapes of a BSQ-VAE decoder's weights, as the official state dict has them. */
final class VaeKeys {
  private final Map<String, long[]> shapes = new TreeMap<>();

  private VaeKeys() {}

  static Map<String, long[]> decoder(VaeConfig config) {
    VaeKeys keys = new VaeKeys();
    int levels = config.decoderMultipliers().size();
    long base = config.baseChannels();
    long channels = base * config.decoderMultipliers().getLast();
    keys.convolution("decoder.conv_in", config.channels(), channels, 3);
    keys.block("decoder.mid.block_1", channels, channels);
    keys.block("decoder.mid.block_2", channels, channels);
    int doublings = Integer.numberOfTrailingZeros(config.stride());
    for (int level = levels - 1; level >= 0; level--) {
      long out = base * config.decoderMultipliers().get(level);
      for (int i = 0; i <= config.blocks(); i++) {
        keys.block("decoder.up." + level + ".block." + i, channels, out);
        channels = out;
      }
      if (level >= 1 && level <= doublings) {
        keys.convolution("decoder.up." + level + ".upsample.conv", channels, channels, 3);
      }
    }
    keys.norm("decoder.norm_out", channels);
    keys.convolution("decoder.conv_out", channels, 3, 3);
    return keys.shapes;
  }

  private void block(String name, long in, long out) {
    norm(name + ".norm1", in);
    convolution(name + ".conv1", in, out, 3);
    norm(name + ".norm2", out);
    convolution(name + ".conv2", out, out, 3);
    if (in != out) {
      convolution(name + ".nin_shortcut", in, out, 1);
    }
  }

  private void convolution(String name, long in, long out, long size) {
    shapes.put(name + ".conv.weight", new long[] {out, in, size, size});
    shapes.put(name + ".conv.bias", new long[] {out});
  }

  private void norm(String name, long channels) {
    shapes.put(name + ".norm.weight", new long[] {channels});
    shapes.put(name + ".norm.bias", new long[] {channels});
  }
}
