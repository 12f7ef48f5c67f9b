package io.heatkv.eval;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationResult;
import io.heatkv.image.PngImage;
import java.util.ArrayList;
import java.util.List;

/**
 * A pass with the tokens that it chose.
 *
 * @param result pictures, times and bytes
 * @param tokens of each scale, of each picture [tokens, symbols]
 * @param divergence of each picture's tokens under teacher forcing; empty where it isn't measured
 */
public record Drawing(
    GenerationResult result, List<List<int[]>> tokens, List<TokenDivergence> divergence) {
  public Drawing {
    tokens = List.copyOf(tokens);
    divergence = List.copyOf(divergence);
  }

  /**
   * Draws to the end and remembers the tokens.
   *
   * @param listener follows the generation as well
   * @throws java.util.concurrent.CancellationException if the listener ended it
   */
  public static Drawing of(Generation generation, GenerationListener listener) {
    List<List<int[]>> tokens = new ArrayList<>();
    GenerationListener recorder =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation drawn) {
            tokens.add(drawn.tokens());
            listener.scaleDone(scale, count, drawn);
          }

          @Override
          public boolean isCancelled() {
            return listener.isCancelled();
          }
        };
    return new Drawing(generation.run(recorder), tokens, List.of());
  }

  /** The same with what teacher forcing measured. */
  public Drawing with(List<TokenDivergence> measured) {
    return new Drawing(result, tokens, measured);
  }

  /** The pictures, in the order of the request. */
  public List<PngImage> pictures() {
    return result.images().stream().map(image -> image.pixels()).toList();
  }

  /** The pictures' prompts. */
  public List<String> prompts() {
    return result.images().stream().map(image -> image.request().prompt()).toList();
  }

  /** Share of tokens that a picture has in common with another drawing of the batch. */
  public TokenAgreement agreement(Drawing other, int picture) {
    return TokenAgreement.of(tokensOf(picture), other.tokensOf(picture));
  }

  private List<int[]> tokensOf(int picture) {
    return tokens.stream().map(scale -> scale.get(picture)).toList();
  }
}
