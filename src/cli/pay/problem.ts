import { z } from 'zod'
import { parseStrictJson } from '../../x402/strict-json.ts'

/** An error that a server explains (RFC 9457, with the `code` that farebox and others add). */
export interface Problem {
  /** Foreign text. */
  readonly code: string
  /** Foreign text; null when the server said no more than the code. */
  readonly message: string | null
}

const DEPTH_MAX = 32

const problem = z.object({
  code: z.string().min(1).max(100),
  detail: z.string().nullish(),
  title: z.string().nullish(),
})

/** Null when the text is not JSON with a code. */
export function readProblem(text: string): Problem | null {
  const parsed = parseStrictJson(text, DEPTH_MAX)
  if (parsed.kind === 'flawed') return null
  const checked = problem.safeParse(parsed.value)
  if (!checked.success) return null
  const { code, detail, title } = checked.data
  return { code, message: detail ?? title ?? null }
}
