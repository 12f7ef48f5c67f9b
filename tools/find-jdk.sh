# Sourced by the launcher and the checks: find_jdk prints the home of a JDK 25 or newer.

# "25.0.3" of a JDK's release file; fails where there is no compiler beside it.
jdk_version() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 1
  sed -n 's/^JAVA_VERSION="\([0-9.]*\).*/\1/p' "$1/release"
}

# JDK 25.0.0 to 25.0.2 can corrupt arrays with G1 (JDK-8377811): taken only if there is no other.
jdk_fits() {
  local version major
  version=$(jdk_version "$1") || return 1
  major=${version%%.*}
  [ "${major:-0}" -ge 25 ] || return 1
  [ "$2" = any ] && return 0
  case $version in
    25 | 25.0 | 25.0.[0-2] | 25.0.[0-2].*) return 1 ;;
  esac
}

# The home of the java on the PATH, through all symbolic links.
jdk_of_path() {
  local file link
  file=$(command -v java) || return 0
  while link=$(readlink "$file"); do
    case $link in
      /*) file=$link ;;
      *) file=${file%/*}/$link ;;
    esac
  done
  (cd "${file%/*}/.." 2>/dev/null && pwd -P) || true
}

find_jdk() {
  local wanted home
  for wanted in sound any; do
    for home in \
      "${JAVA_HOME:-}" \
      "$(jdk_of_path)" \
      /usr/lib/jvm/* \
      /usr/java/* \
      /opt/*jdk* \
      /opt/java/* \
      "${HOME:-}"/.sdkman/candidates/java/* \
      "${HOME:-}"/.jdks/* \
      /Library/Java/JavaVirtualMachines/*/Contents/Home \
      /opt/homebrew/opt/openjdk/libexec/openjdk.jdk/Contents/Home; do
      if [ -n "$home" ] && jdk_fits "$home" "$wanted"; then
        printf '%s\n' "$home"
        return 0
      fi
    done
  done
  return 1
}
