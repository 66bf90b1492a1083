/**
 * How stores of objects are reached, from the environment. Keys and profiles are looked up by the AWS SDK, in the places where all AWS tools
 * look, when the first request is signed; they are never read here, kept or shown.
 */
import { DabarexError } from '../base/index.ts';
import type { RemoteOptions } from '../storage/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_REGION` or `AWS_DEFAULT_REGION`, `DABAREX_S3_PATH_STYLE` and `DABAREX_S3_ANONYMOUS`
 * (`true` or `false`).
 * @throws usage_invalid for a switch that is neither
 */
export function readStorageOptions(env: Environment): RemoteOptions {
  return {
    s3: {
      endpoint: env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined,
      region: env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined,
      pathStyle: switchOf(env, 'DABAREX_S3_PATH_STYLE'),
      credentials: switchOf(env, 'DABAREX_S3_ANONYMOUS') ? 'anonymous' : undefined,
    },
  };
}

/** The AWS SDK tells on standard error that it will want a newer Node; that is for who maintains this package. */
export function silenceSdk(env: NodeJS.ProcessEnv): void {
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
}

function switchOf(env: Environment, name: string): boolean | undefined {
  const value = env[name]?.toLowerCase();
  if (!value) return undefined;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new DabarexError('usage_invalid', `${name} is "${env[name]}": write true or false.`, { name });
}
