package io.heatkv.spring.ai;

import org.springframework.ai.image.ImageGenerationMetadata;

/**
 * How a picture was drawn.
 *
 * @param seed that draws it alone
 * @param width in pixels
 * @param height in pixels
 */
public record HeatKvImageMetadata(long seed, int width, int height)
    implements ImageGenerationMetadata {}
