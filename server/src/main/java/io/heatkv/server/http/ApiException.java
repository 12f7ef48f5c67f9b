package io.heatkv.server.http;

import io.heatkv.error.UserException;
import io.heatkv.server.core.Refusal;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An answer that says what is wrong, in OpenAI's shape. */
final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final String type;
  private final @Nullable String code;
  private final @Nullable String param;
  private final transient Map<String, String> headers = new LinkedHashMap<>();

  private ApiException(
      int status, String type, @Nullable String code, @Nullable String param, String message) {
    super(message);
    this.status = status;
    this.type = type;
    this.code = code;
    this.param = param;
  }

  /** A request that is wrong. */
  static ApiException invalid(@Nullable String param, String message) {
    return invalid(param, "invalid_value", message);
  }

  static ApiException invalid(@Nullable String param, String code, String message) {
    return new ApiException(400, "invalid_request_error", code, param, message);
  }

  /** A request that is wrong as a whole. */
  static ApiException of(int status, String code, String message) {
    return new ApiException(status, "invalid_request_error", code, null, message);
  }

  static ApiException unauthorized(String message) {
    return new ApiException(401, "authentication_error", "invalid_api_key", null, message)
        .with("WWW-Authenticate", "Bearer");
  }

  static ApiException notFound(String message) {
    return new ApiException(404, "invalid_request_error", "not_found", null, message);
  }

  static ApiException tooMany(String code, long retrySeconds, String message) {
    return new ApiException(429, "rate_limit_error", code, null, message)
        .with("Retry-After", Long.toString(retrySeconds));
  }

  /** What went wrong with a job. */
  static ApiException of(Throwable problem) {
    return switch (problem) {
      case ApiException known -> known;
      case UserException wrong -> invalid(null, String.valueOf(wrong.getMessage()));
      case Refusal refusal -> refused(refusal);
      // What fails on a device may well succeed there the next time.
      default ->
          new ApiException(500, "server_error", "device_error", null, "drawing failed; try again")
              .with("x-should-retry", "true");
    };
  }

  private static ApiException refused(Refusal refusal) {
    long seconds = Math.max(1, refusal.retryAfter().plusMillis(999).toSeconds());
    String message = String.valueOf(refusal.getMessage());
    return switch (refusal.reason()) {
      case QUEUE_FULL -> tooMany("queue_full", seconds, message);
      case DRAINING ->
          new ApiException(503, "server_error", "stopping", null, message)
              .with("Retry-After", Long.toString(seconds));
      case DEVICE_FAILED ->
          new ApiException(503, "server_error", "device_failed", null, message)
              .with("x-should-retry", "false");
    };
  }

  ApiException with(String header, String value) {
    headers.put(header, value);
    return this;
  }

  int status() {
    return status;
  }

  String code() {
    return code == null ? type : code;
  }

  Map<String, String> headers() {
    return headers;
  }

  Map<String, Object> toJson() {
    Map<String, Object> error = new LinkedHashMap<>();
    error.put("message", getMessage());
    error.put("type", type);
    error.put("param", param);
    error.put("code", code);
    return Map.of("error", error);
  }
}
