"""Files of plugins: a data folder of their own, an artifacts folder for each call, and folders of
the operator's, to be read. Each only if the manifest asks for it and the policy grants it.
"""
