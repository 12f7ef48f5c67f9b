/** The service over HTTP: OpenAI's image interface, jobs, health, metrics and the page. */
@NullMarked
package io.heatkv.server.http;

import org.jspecify.annotations.NullMarked;
