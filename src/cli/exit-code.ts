/** What the process tells its caller. `farebox pay --help` documents these. */
export const EXIT_OK = 0
export const EXIT_FAILED = 1
/** Wrong usage, a bad configuration or key, or a payment that we declined to make. */
export const EXIT_USAGE = 2
/** The server refused the payment. */
export const EXIT_PAYMENT_REFUSED = 3
/** 128 + SIGINT, as shells report it. */
export const EXIT_INTERRUPTED = 130

export type ExitCode =
  | typeof EXIT_OK
  | typeof EXIT_FAILED
  | typeof EXIT_USAGE
  | typeof EXIT_PAYMENT_REFUSED
  | typeof EXIT_INTERRUPTED
