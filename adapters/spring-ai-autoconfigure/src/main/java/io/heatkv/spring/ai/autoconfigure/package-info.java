/** The image model in a Spring Boot application. */
@NullMarked
package io.heatkv.spring.ai.autoconfigure;

import org.jspecify.annotations.NullMarked;
