import type { Writable } from 'node:stream'

/** A stream that a verb writes to. `isTTY` is true where a person reads along. */
export interface OutputStream extends Writable {
  readonly isTTY?: boolean | undefined
}

/** What a verb sees of its process. `process` is one; tests make their own. */
export interface Surroundings {
  /** The interpreter and the script come first. */
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly stdin: { readonly isTTY?: boolean | undefined }
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Set by every verb, and read by nobody before the process ends. */
  exitCode?: number | string | null | undefined
}
