package io.heatkv.image;

import io.heatkv.error.UserException;

/**
 * A text that travels inside a PNG file.
 *
 * @param keyword what it is: 1 to 79 printable Latin-1 characters
 * @param text any Unicode without NUL, which PNG text cannot hold
 */
public record PngText(String keyword, String text) {
  /** The keyword under which image tools look for the prompt and settings. */
  public static final String PARAMETERS = "parameters";

  /** The keyword of this engine's own JSON. */
  public static final String HEATKV = "heatkv";

  private static final int LONGEST_KEYWORD = 79;

  /**
   * Checks the text early, before a picture is made for it.
   *
   * @throws UserException if the text has a NUL or half a surrogate pair
   * @throws IllegalArgumentException if the keyword is none that PNG allows
   */
  public PngText {
    if (!isKeyword(keyword)) {
      throw new IllegalArgumentException("no PNG keyword: " + keyword);
    }
    if (!isText(text)) {
      throw new UserException(
          "PNG text '"
              + keyword
              + "': holds a NUL or half a surrogate pair; expected Unicode text; remove that"
              + " character");
    }
  }

  /** The prompt and settings, in the form that image tools read. */
  public static PngText parameters(String text) {
    return new PngText(PARAMETERS, text);
  }

  /** This engine's own record of how the picture was made. */
  public static PngText heatkv(String json) {
    return new PngText(HEATKV, json);
  }

  static boolean isKeyword(String keyword) {
    return !keyword.isEmpty()
        && keyword.length() <= LONGEST_KEYWORD
        && keyword.chars().allMatch(PngText::isLatin1);
  }

  static boolean isText(String text) {
    return text.codePoints().allMatch(p -> p != 0 && (p < 0xD800 || p > 0xDFFF));
  }

  /** Printable Latin-1, the only characters that the PNG specification allows there. */
  static boolean isLatin1(int character) {
    return (character >= 0x20 && character <= 0x7E) || (character >= 0xA1 && character <= 0xFF);
  }
}
