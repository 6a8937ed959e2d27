import type { Path } from '../../config/problems.ts'

/** How bad it is. Only a `problem` makes the exit code non-zero. */
export type Level = 'ok' | 'warning' | 'problem' | 'not-checked'

/** One thing that the world answered, or was not asked. Never holds a secret or an RPC URL. */
export interface Finding {
  readonly level: Level
  readonly question:
    | 'facilitators'
    | 'rpc'
    | 'gas'
    | 'token'
    | 'payTo'
    | 'clock'
    | 'publicUrl'
    | 'upstreams'
  /** Into the configuration file; where nothing is written there, into what should hold it. */
  readonly path: Path
  /** A sentence without its full stop. Foreign text in it is made safe to show. */
  readonly message: string
  /** What to do, in a sentence; null where there is nothing to do. */
  readonly cure: string | null
}

/** Makes findings about one place of the file. */
export interface FindingsAt {
  ok(message: string): Finding
  warning(message: string, cure: string): Finding
  problem(message: string, cure: string): Finding
  notChecked(message: string, cure: string): Finding
}

export function findingsAt(question: Finding['question'], path: Path): FindingsAt {
  const about = { question, path }
  return {
    ok: message => ({ ...about, level: 'ok', message, cure: null }),
    warning: (message, cure) => ({ ...about, level: 'warning', message, cure }),
    problem: (message, cure) => ({ ...about, level: 'problem', message, cure }),
    notChecked: (message, cure) => ({ ...about, level: 'not-checked', message, cure }),
  }
}
