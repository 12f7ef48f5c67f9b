/** Requests on their way through one device: admission, queue, shared passes, events. No HTTP. */
@NullMarked
package io.heatkv.server.core;

import org.jspecify.annotations.NullMarked;
