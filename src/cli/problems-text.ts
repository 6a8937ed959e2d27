import { formatProblem, type Problem } from '../config/problems.ts'
import { styled } from './output.ts'
import type { OutputStream } from './surroundings.ts'

/** Every problem of a configuration, each with its place and its cure. */
export function problemsText(problems: readonly Problem[], stream: OutputStream): string {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  return `${problems.map(formatProblem).join('\n')}\n\n${styled('red', count, stream)}`
}
