/** The entry of the command line. */
import { createContext } from './context.ts';
import { runCommandLine } from './program.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), createContext());
