package io.heatkv.eval.report;

import io.heatkv.image.PngImage;

/**
 * A picture that a page shows in a section of its own.
 *
 * @param title of the section
 * @param note what is seen
 * @param picture is embedded
 */
public record Illustration(String title, String note, PngImage picture) {}
