import type { LoadResult } from '../config/load.ts'
import type { Output } from './output.ts'

export type LoadedConfiguration = Extract<LoadResult, { kind: 'loaded' }>

/** Reads a configuration file. Null when it has problems, which are printed by then. */
export async function readConfiguration(
  file: string,
  { output, env }: { readonly output: Output; readonly env: NodeJS.ProcessEnv },
): Promise<LoadedConfiguration | null> {
  const { loadConfig } = await import('../config/load.ts')
  const loaded = await loadConfig(file, { env })
  if (loaded.kind === 'loaded') return loaded
  const { problems } = loaded
  const { problemsText } = await import('./problems-text.ts')
  output.result({ valid: false, file, problems }, () => problemsText(problems, output.stdout))
  return null
}
