package io.heatkv.infinity.vae;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Names and shapes of a BSQ-VAE's weights, as the official state dict has them (AutoEncoder). */
public final class VaeKeys {
  private static final int RGB = 3;

  private final VaeConfig config;
  private final Map<String, long[]> shapes = new TreeMap<>();

  private VaeKeys(VaeConfig config) {
    this.config = config;
  }

  /** All of a tokenizer with an encoder, with the quantiser's masks, which nothing here reads. */
  public static Map<String, long[]> shapes(VaeConfig config) {
    Map<String, long[]> all = decoder(config);
    all.putAll(encoder(config));
    for (String quantizer : List.of("quantize", "quantizer")) {
      all.put(quantizer + ".lfq.mask", new long[] {config.channels()});
    }
    return all;
  }

  /** Weights of the decoder. */
  public static Map<String, long[]> decoder(VaeConfig config) {
    VaeKeys keys = new VaeKeys(config);
    List<Integer> multipliers = config.decoderMultipliers();
    long in = keys.channels(multipliers.getLast());
    keys.convolution("decoder.conv_in", config.channels(), in, 3);
    keys.middle("decoder.mid.", in);
    for (int level = multipliers.size() - 1; level >= 0; level--) {
      String name = "decoder.up." + level;
      long out = keys.channels(multipliers.get(level));
      in = keys.blocks(name, config.blocks() + 1, in, out);
      if (level >= 1 && level <= config.halvings()) {
        keys.convolution(name + ".upsample.conv", out, out, 3);
      }
    }
    keys.norm("decoder.norm_out", in);
    keys.convolution("decoder.conv_out", in, RGB, 3);
    return keys.shapes;
  }

  /** Weights of the encoder. */
  static Map<String, long[]> encoder(VaeConfig config) {
    VaeKeys keys = new VaeKeys(config);
    long in = config.baseChannels();
    keys.convolution("encoder.conv_in", RGB, in, 3);
    for (int level = 0; level < config.encoderMultipliers().size(); level++) {
      String name = "encoder.down." + level;
      long out = keys.channels(config.encoderMultipliers().get(level));
      in = keys.blocks(name, config.blocks(), in, out);
      if (level < config.halvings()) {
        keys.convolution(name + ".downsample.conv", out, out, 3);
      }
    }
    keys.middle("encoder.mid.", in);
    keys.norm("encoder.norm_out", in);
    keys.convolution("encoder.conv_out", in, config.channels(), 3);
    return keys.shapes;
  }

  private long channels(int multiplier) {
    return (long) multiplier * config.baseChannels();
  }

  private void middle(String name, long channels) {
    block(name + "block_1", channels, channels);
    block(name + "block_2", channels, channels);
  }

  /** The blocks of a level, of which the first changes the channels. */
  private long blocks(String level, int count, long in, long out) {
    long from = in;
    for (int i = 0; i < count; i++) {
      block(level + ".block." + i, from, out);
      from = out;
    }
    return out;
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

  private void convolution(String name, long in, long out, int size) {
    shapes.put(name + ".conv.weight", new long[] {out, in, size, size});
    shapes.put(name + ".conv.bias", new long[] {out});
  }

  private void norm(String name, long channels) {
    shapes.put(name + ".norm.weight", new long[] {channels});
    shapes.put(name + ".norm.bias", new long[] {channels});
  }
}
