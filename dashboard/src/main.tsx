/** The entry of the page: mounts the app and pulls in the styles. */
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import 'uplot/dist/uPlot.min.css';
import './theme.css';
import './forms.css';
import './page.css';
import './panels.css';
import './narrow.css';

createRoot(document.getElementById('root')!).render(<App />);
