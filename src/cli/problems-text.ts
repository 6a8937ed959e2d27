import { formatProblem, type Problem } from '../config/problems.ts'
import { styled } from './output.ts'
import type { OutputStream } from './surroundings.ts'

/** Every problem of a configuration, or every note on it, each with its place and its cure. */
export function problemsText(
  problems: readonly Problem[],
  stream: OutputStream,
  noun: 'problem' | 'note' = 'problem',
): string {
  const count = problems.length === 1 ? `1 ${noun}` : `${problems.length} ${noun}s`
  const colour = noun === 'problem' ? 'red' : 'yellow'
  return `${problems.map(formatProblem).join('\n')}\n\n${styled(colour, count, stream)}`
}
